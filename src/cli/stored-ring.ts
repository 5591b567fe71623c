import type { Config } from '../config/schema.ts';
import { openMasterKey } from '../keys/master-key.ts';
import { ringRecords } from '../keys/ring-record.ts';
import { snapshotOf, type RingSnapshot } from '../keys/ring.ts';
import { storedRing } from '../keys/transitions.ts';
import { systemClock } from '../lib/clock.ts';
import { systemRandom } from '../lib/random.ts';
import type { Store } from '../storage/store.ts';

/** The keys as a server has them now. @throws MasterKeyError, StoreUnavailable, or Error where none has started yet */
export async function ringNow({ keys_dir: directory, keys }: Config, records: Store): Promise<RingSnapshot> {
  const masterKey = await openMasterKey(directory, { create: false, random: systemRandom });
  const { content } = await storedRing(ringRecords(records, masterKey));
  return snapshotOf(content, systemClock.now(), keys.algorithms);
}
