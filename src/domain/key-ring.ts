import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import { openKeyRing, type KeyRing } from '../keys/key-ring.ts';
import { openMasterKey } from '../keys/master-key.ts';
import { openExternal } from '../keys/open-external.ts';
import { holdsRing, ringRecords } from '../keys/ring-record.ts';
import { snapshotOf, type RingSnapshot } from '../keys/ring.ts';
import { storedRing } from '../keys/transitions.ts';
import { timetableOf } from '../keys/timetable.ts';
import type { Random } from '../lib/random.ts';
import type { Stores } from '../storage/open-stores.ts';
import { warningOf } from './domain.ts';

export interface KeyRingContext {
  config: Config;
  stores: Stores;
  random: Random;
}

/** The keys in the store as of now. @throws MasterKeyError, StoreUnavailable, or Error where no server has made them yet */
export async function storedKeys({ config, stores, random }: KeyRingContext): Promise<RingSnapshot> {
  const { records, clock } = stores;
  const masterKey = await openMasterKey(config.keys_dir, { create: false, random });
  const { content } = await storedRing(ringRecords(records, masterKey));
  return snapshotOf(content, clock.now(), config.keys.algorithms);
}

/** The keys of this installation, as a running server keeps them up. */
export async function openRing({ config, stores, random, log }: KeyRingContext & { log: Logger }): Promise<KeyRing> {
  const { records, clock } = stores;
  // Beside an embedded store the first start makes the master key; nodes that share a store must be handed theirs. A new
  // key would not open a ring that is there, and would stand in the place of the missing one.
  const create = stores.isEmbedded && !(await holdsRing(records));
  const masterKey = await openMasterKey(config.keys_dir, { create, random });
  return openKeyRing({
    records,
    masterKey,
    external: await openExternal(config),
    clock,
    random,
    algorithms: config.keys.algorithms,
    timetable: timetableOf(config),
    reportFailure: warningOf(log, 'the key ring could not be kept up; what is in memory goes on'),
  });
}
