import type { Clock } from '../lib/clock.ts';
import { type Random, secretToken } from '../lib/random.ts';
import type { Store } from '../storage/store.ts';
import type { MasterKey } from './master-key.ts';
import { newKey } from './new-key.ts';
import { RING_CHANNEL, type RingRecords, ringRecords, type StoredRing } from './ring-record.ts';
import { type RingContent, type RingKey, type RingSnapshot, type SigningAlgorithm, snapshotOf } from './ring.ts';
import { firstTimes, type Timetable } from './timetable.ts';

export interface KeyRingOptions {
  records: Store;
  masterKey: MasterKey;
  clock: Clock;
  random: Random;
  algorithms: readonly SigningAlgorithm[];
  timetable: Timetable;
  /** Told when the ring could not be read in the background; the node goes on with the ring that it has. */
  onRefreshFailed?: (error: unknown) => void;
}

/** The ring as this node knows it. It follows the record by a hint and by polling. */
export interface KeyRing {
  current(): RingSnapshot;
  /** Reads the record again. @returns whether the ring had changed */
  refresh(): Promise<boolean>;
  /** @returns the way to stop listening */
  onChange(listener: (snapshot: RingSnapshot) => void): () => void;
  close(): Promise<void>;
}

/**
 * Opens the ring that all nodes share, making it, or the first key of an algorithm that it lacks, where needed: of any
 * number of nodes that do so at once, one wins and all get its ring.
 * @throws MasterKeyError when the ring does not open under the master key
 */
export async function openKeyRing(options: KeyRingOptions): Promise<KeyRing> {
  const records = ringRecords(options.records, options.masterKey);
  const following = follow(records, await completeRing(records, options));
  const refreshUnasked = (): void => {
    following.refresh().catch((error: unknown) => options.onRefreshFailed?.(error));
  };
  const unsubscribe = await options.records.subscribe(RING_CHANNEL, refreshUnasked);
  const timer = setInterval(refreshUnasked, pollingPeriod(options.timetable)).unref();
  return {
    ...following,
    async close() {
      clearInterval(timer);
      await unsubscribe();
      await following.close();
    },
  };
}

/** A key must be known to every node before it signs, so a node that missed the hint looks several times while it is announced. */
function pollingPeriod({ announce }: Timetable): number {
  return Math.min(60_000, Math.max(1_000, announce * 100));
}

function follow(records: RingRecords, first: StoredRing): KeyRing {
  const listeners = new Set<(snapshot: RingSnapshot) => void>();
  let { sealed } = first;
  let snapshot = snapshotOf(first.content);

  const readAgain = async (): Promise<boolean> => {
    const stored = await records.read(sealed);
    // A record that is gone was deleted by hand. What it held stays good until a restart makes another.
    if (stored === 'unchanged' || stored === 'absent') return false;
    sealed = stored.sealed;
    snapshot = snapshotOf(stored.content);
    for (const listener of listeners) listener(snapshot);
    return true;
  };
  // One after the other, so that a slow early read never overwrites a late one.
  let last: Promise<unknown> = Promise.resolve();

  return {
    current: () => snapshot,
    refresh() {
      const reading = last.then(readAgain);
      last = reading.catch(() => undefined);
      return reading;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      listeners.clear();
      await last;
    },
  };
}

/** Reads the ring; makes what it lacks and reads again until it lacks nothing, since another node may have been first. */
async function completeRing(records: RingRecords, options: KeyRingOptions): Promise<StoredRing> {
  for (;;) {
    const stored = await records.read();
    if (typeof stored === 'string') {
      await records.write(await newRing(options), undefined);
      continue;
    }
    const { content, version } = stored;
    const signable = new Set(content.keys.filter((key) => key.privateJwk !== undefined).map((key) => key.alg));
    const lacking = options.algorithms.filter((alg) => !signable.has(alg));
    if (lacking.length === 0) return stored;
    const keys = [...content.keys, ...(await firstKeys(lacking, options))];
    await records.write({ ...content, keys }, version);
  }
}

async function newRing(options: KeyRingOptions): Promise<RingContent> {
  const { algorithms, random } = options;
  return {
    keys: await firstKeys(algorithms, options),
    cookieKeys: [secretToken(random)],
    root: secretToken(random),
  };
}

function firstKeys(algorithms: readonly SigningAlgorithm[], options: KeyRingOptions): Promise<RingKey[]> {
  const times = firstTimes(options.clock.now(), options.timetable);
  return Promise.all(algorithms.map((alg) => newKey(alg, times)));
}
