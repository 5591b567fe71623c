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

/**
 * Reads the current keys from the store.
 * @throws MasterKeyError, StoreUnavailable, or Error if no server has made keys yet
 */
export async function storedKeys({ config, stores, random }: KeyRingContext): Promise<RingSnapshot> {
  const { records, clock } = stores;
  const masterKey = await openMasterKey(config.keys_dir, { create: false, random });
  const { content } = await storedRing(ringRecords(records, masterKey));
  return snapshotOf(content, clock.now(), config.keys.algorithms);
}

/** Opens the keys of this installation and keeps them up to date. */
export async function openRing({ config, stores, random, log }: KeyRingContext & { log: Logger }): Promise<KeyRing> {
  const { records, clock } = stores;
  // The first start with an embedded store creates the master key. Nodes that share a store need copies of one key.
  // If a ring exists, a new key could not decrypt it, and would hide that the right key is missing.
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
    reportFailure: warningOf(log, 'the key ring could not be updated; the keys in memory stay in use'),
  });
}
