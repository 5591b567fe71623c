import { secretToken } from '../lib/random.ts';
import { checkExternalKeys, writeRing } from './external-keys.ts';
import { externalSigning, type ExternalSigning } from './external-signing.ts';
import { SignerUnavailable } from './external-signer.ts';
import type { MasterKey } from './master-key.ts';
import { RING_CHANNEL, type RingRecords, ringRecords, type RingStore, type StoredRing } from './ring-record.ts';
import { type RingContent, type RingSnapshot, snapshotOf } from './ring.ts';
import { nextStep, type StepOptions } from './steps.ts';
import { pollingPeriod, trustedFor } from './timetable.ts';

export interface KeyRingOptions extends StepOptions {
  records: RingStore;
  masterKey: MasterKey;
}

/**
 * The ring as this node knows it. It follows the record by a hint and by polling, takes each step that is due, and
 * derives from the record and its clock what signs and what is published.
 */
export interface KeyRing extends ExternalSigning {
  current(): RingSnapshot;
  /** Reads the record again and takes the steps that are due. @returns whether the ring had changed */
  refresh(): Promise<boolean>;
  /**
   * The look at the record that must come before anything is signed or published: the last one is so long ago, as on a
   * machine that was paused, that a key which this node does not know may sign at another. It never fails.
   * @returns nothing to wait for in the ordinary case, and where the store has just refused such a look
   */
  overdue(): Promise<unknown> | undefined;
  /** Tells of every new snapshot, whether the record or time made it. @returns the way to stop listening */
  onChange(listener: (snapshot: RingSnapshot) => void): () => void;
  /** Closes the external signer too. */
  close(): Promise<void>;
}

/**
 * Opens the ring that all nodes share, making it, or the first key of an algorithm that it lacks, where needed: of any
 * number of nodes that do so at once, one wins and all get its ring.
 * @throws MasterKeyError when the ring does not open under the master key
 * @throws SignerUnavailable when keys are, or should be made, in a signer that does not have them or is away
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
    // A key that cannot sign may have been revoked a moment ago.
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

/** How often a node looks for private halves that were left in the external signer, in milliseconds. */
const CHECK_EVERY = 3_600_000;

/** The longest wait before the clock is looked at again, in milliseconds: it may have been set in between. */
const LONGEST_WAIT = 60_000;

class FollowedRing {
  readonly #records: RingRecords;
  readonly #options: KeyRingOptions;
  readonly #listeners = new Set<(snapshot: RingSnapshot) => void>();
  #stored: StoredRing;
  #snapshot: RingSnapshot;
  #timer: NodeJS.Timeout | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** The look that has not begun yet. */
  #next: Promise<boolean> | undefined;
  #checkedAt: number;
  /** The instant at which the last answered look began. */
  #lookedAt: number;
  #overdue: Promise<unknown> | undefined;
  /** Until when nobody waits for another look, since one has just failed. */
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
    // One after the other, so that a slow early read never overwrites a late one; all who ask meanwhile share the next.
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

  /** A node that lacks a private half learns it while the key is announced, not when it should sign. */
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
 * Reads the ring and takes the steps that are due, until there is none left: another node may have been first.
 * @param known what this node has. Where the record is gone since, somebody deleted it by hand, and what it held stays
 * good until a restart makes another.
 */
async function keepUp(records: RingRecords, options: KeyRingOptions, known?: StoredRing): Promise<StoredRing> {
  for (let latest = known; ;) {
    const stored = await records.read(latest);
    if (stored === undefined && latest !== undefined) return latest;
    // Its root comes first: by that all nodes name what they make elsewhere.
    if (stored === undefined) await records.write(emptyRing(options), undefined);
    else {
      const next = await nextStep(stored.content, options).catch((error: unknown) => {
        // A key that comes late is made later; what else has changed must be known now.
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
