import { openKeyRing, type KeyRing } from '../keys/key-ring.ts';
import { openExternal } from '../keys/open-external.ts';
import { openMasterKey } from '../keys/master-key.ts';
import { holdsRing } from '../keys/ring-record.ts';
import { timetableOf } from '../keys/timetable.ts';
import type { Base } from './base.ts';

/** The keys of this installation, as this node keeps them up. */
export async function openRing({ config, stores, clock, random, log }: Base): Promise<KeyRing> {
  // Beside an embedded store the first start makes the master key; nodes that share a store must be handed theirs. A new
  // key would not open a ring that is there, and would stand in the place of the missing one.
  const create = stores.isEmbedded && !(await holdsRing(stores.records));
  const masterKey = await openMasterKey(config.keys_dir, { create, random });
  return openKeyRing({
    records: stores.records,
    masterKey,
    external: await openExternal(config),
    clock,
    random,
    algorithms: config.keys.algorithms,
    timetable: timetableOf(config),
    reportFailure: (err) => {
      log.warn({ err }, 'the key ring could not be kept up; what is in memory goes on');
    },
  });
}
