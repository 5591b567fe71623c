import { secretToken } from '../lib/random.ts';
import { checkExternalKeys, writeRing } from './external-keys.ts';
import { externalSigning, type ExternalSigning, SignerUnavailable } from './external-signing.ts';
import type { MasterKey } from './master-key.ts';
import { RING_CHANNEL, type RingRecords, ringRecords, type RingStore, type StoredRing } from './ring-record.ts';
import { type RingContent, type RingSnapshot, snapshotOf } from './ring.ts';
import { nextTransition, type TransitionOptions } from './transitions.ts';
import { pollingPeriod, trustedFor } from './timetable.ts';

export interface KeyRingOptions extends TransitionOptions {
  records: RingStore;
  masterKey: MasterKey;
}

/**
 * This node's view of the ring. It follows the record by notices and by polling, applies each transition that is due,
 * and derives the signing and the published keys from the record and its clock.
 */
export interface KeyRing extends ExternalSigning {
  current(): RingSnapshot;
  /** Reads the record again and applies the transitions that are due. @returns whether the ring had changed */
  refresh(): Promise<boolean>;
  /**
   * Reads the record again if this node's view is too old to sign or publish by, for example after the machine was
   * suspended. Another node may by then sign with a key that this node does not know.
   * @returns a promise that never rejects; `undefined` if the view is fresh enough, or if such a read has just failed
   */
  overdue(): Promise<unknown> | undefined;
  /** Calls the listener with every new snapshot. @returns a function that removes the listener */
  onChange(listener: (snapshot: RingSnapshot) => void): () => void;
  /** Closes the ring and its external signer. */
  close(): Promise<void>;
}

/**
 * Opens the ring that all nodes share. It creates a missing ring, or the missing first key of an algorithm. If several
 * nodes do so at once, one wins and all use its ring.
 * @throws MasterKeyError if the ring does not decrypt under the master key
 * @throws SignerUnavailable if the external signer lacks a key or does not answer
 */
export async function openKeyRing(options: KeyRingOptions): Promise<KeyRing> {
  try {
    return await openWith(options);
  } catch (error) {
    await options.external?.signer.close();
    throw error;
  }
}

async function openWith(options: KeyRingOptions): Promise<KeyRing> {
  const { clock, external } = options;
  const records = ringRecords(options.records, options.masterKey);
  const lookedAt = clock.now();
  const stored = await keepUp(records, options);
  await checkExternalKeys(records, stored, options);
  const ring = new FollowedRing(records, options, stored, lookedAt);
  const refreshUnasked = (): void => {
    ring.refresh().catch((error: unknown) => options.reportFailure?.(error));
  };
  const unsubscribe = await options.records.subscribe(RING_CHANNEL, refreshUnasked);
  const timer = setInterval(refreshUnasked, pollingPeriod(options.timetable) * 1000).unref();
  return {
    // A key that fails to sign may have just been revoked, so the ring is read again.
    ...externalSigning({
      signer: external?.signer,
      clock,
      signing: () => ring.current().signing,
      onFailure: refreshUnasked,
    }),
    current: () => ring.current(),
    refresh: () => ring.refresh(),
    overdue: () => ring.overdue(),
    onChange: (listener) => ring.onChange(listener),
    async close() {
      clearInterval(timer);
      await unsubscribe();
      await ring.close();
      await external?.signer.close();
    },
  };
}

/** Period in milliseconds in which a node compares the ring with the external signer. */
const CHECK_EVERY = 3_600_000;

/** Longest wait in milliseconds before the node reads the clock again, because somebody may set the clock meanwhile. */
const LONGEST_WAIT = 60_000;

class FollowedRing {
  readonly #records: RingRecords;
  readonly #options: KeyRingOptions;
  readonly #listeners = new Set<(snapshot: RingSnapshot) => void>();
  #stored: StoredRing;
  #snapshot: RingSnapshot;
  #timer: NodeJS.Timeout | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** The read that has not begun yet, which callers share. */
  #next: Promise<boolean> | undefined;
  #checkedAt: number;
  /** The time at which the last successful read began. */
  #lookedAt: number;
  #overdue: Promise<unknown> | undefined;
  /** The time until which callers do not wait for another read, because one has just failed. */
  #excusedUntil = -Infinity;

  constructor(records: RingRecords, options: KeyRingOptions, stored: StoredRing, lookedAt: number) {
    this.#records = records;
    this.#options = options;
    this.#stored = stored;
    this.#lookedAt = lookedAt;
    this.#checkedAt = options.clock.now();
    this.#snapshot = this.#derive();
    this.#waitForTime();
  }

  current(): RingSnapshot {
    if (this.#options.clock.now() >= this.#snapshot.until) this.#change();
    return this.#snapshot;
  }

  refresh(): Promise<boolean> {
    // Reads run one at a time, so that a slow read never overwrites a later one. Callers meanwhile share the next read.
    if (this.#next !== undefined) return this.#next;
    const reading = this.#last.then(() => {
      this.#next = undefined;
      return this.#readAgain();
    });
    this.#next = reading;
    this.#last = reading.catch(() => undefined);
    return reading;
  }

  overdue(): Promise<unknown> | undefined {
    const { clock, timetable, reportFailure } = this.#options;
    const now = clock.now();
    if (now - this.#lookedAt <= trustedFor(timetable) * 1000 || now < this.#excusedUntil) return undefined;
    this.#overdue ??= this.refresh()
      .catch((error: unknown) => {
        this.#excusedUntil = clock.now() + pollingPeriod(timetable) * 1000;
        reportFailure?.(error);
      })
      .finally(() => {
        this.#overdue = undefined;
      });
    return this.#overdue;
  }

  onChange(listener: (snapshot: RingSnapshot) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    await this.#last;
    clearTimeout(this.#timer);
  }

  async #readAgain(): Promise<boolean> {
    const before = this.#stored;
    const lookedAt = this.#options.clock.now();
    this.#stored = await keepUp(this.#records, this.#options, before);
    this.#lookedAt = lookedAt;
    const hasChanged = this.#stored.sealed !== before.sealed;
    if (hasChanged) this.#change();
    else this.current();
    await this.#check(hasChanged);
    return hasChanged;
  }

  /**
   * Compares the ring with the external signer. A missing private key is reported while its key is still announced.
   */
  async #check(hasChanged: boolean): Promise<void> {
    const { clock, reportFailure } = this.#options;
    if (!hasChanged && clock.now() < this.#checkedAt + CHECK_EVERY) return;
    this.#checkedAt = clock.now();
    await checkExternalKeys(this.#records, this.#stored, this.#options).catch((error: unknown) =>
      reportFailure?.(error),
    );
  }

  #derive(): RingSnapshot {
    const { clock, algorithms } = this.#options;
    return snapshotOf(this.#stored.content, clock.now(), algorithms);
  }

  #change(): void {
    this.#snapshot = this.#derive();
    this.#waitForTime();
    for (const listener of this.#listeners) {
      try {
        listener(this.#snapshot);
      } catch (error) {
        this.#options.reportFailure?.(error);
      }
    }
  }

  #waitForTime(): void {
    clearTimeout(this.#timer);
    const { clock } = this.#options;
    const look = (): void => {
      if (clock.now() >= this.#snapshot.until) this.#change();
      else this.#waitForTime();
    };
    this.#timer = setTimeout(look, Math.min(this.#snapshot.until - clock.now(), LONGEST_WAIT)).unref();
  }
}

/**
 * Reads the ring and applies due transitions until none is left. It reads again after each write, because another node
 * may write first.
 * @param known this node's copy. If somebody deleted the record by hand, the copy stays valid until a restart makes a
 * new ring.
 */
async function keepUp(records: RingRecords, options: KeyRingOptions, known?: StoredRing): Promise<StoredRing> {
  for (let latest = known; ;) {
    const stored = await records.read(latest);
    if (stored === undefined && latest !== undefined) return latest;
    // Writes the root first, because all nodes derive the label of external keys from it.
    if (stored === undefined) await records.write(emptyRing(options), undefined);
    else {
      const next = await nextTransition(stored.content, options).catch((error: unknown) => {
        // The key can be made later, but other changes of the ring must take effect now.
        if (known === undefined || !(error instanceof SignerUnavailable)) throw error;
        options.reportFailure?.(error);
        return stored.content;
      });
      if (next === stored.content) return stored;
      await writeRing(records, next, stored, options);
    }
    latest = stored;
  }
}

function emptyRing({ random }: KeyRingOptions): RingContent {
  return { keys: [], cookieKeys: [], root: secretToken(random) };
}
