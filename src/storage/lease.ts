import type { Clock } from '../lib/clock.ts';
import type { Index, Key, Store, Stored, WriteOptions } from './store.ts';

/** A record that awaits work. Its other fields belong to the module that does the work. */
export interface Due {
  /** Time at which the work is due, or at which the current lease ends, in milliseconds since the epoch. */
  dueAt: number;
}

export interface QueueRules<T extends Due> {
  store: Store;
  clock: Clock;
  /** The index of the records that await work. */
  index: Index<T>;
  /** Lifetime of a record in seconds, counted from its latest write. */
  life: number;
  /** Length of a lease in milliseconds. A node renews its lease while it works. */
  lease: number;
  /**
   * Changes a record as this node claims it, for example to count attempts. The change is stored before the work
   * begins.
   */
  claim?: (now: T) => T | Promise<T>;
  /**
   * Tells whether this node still holds its claim on a record. It is needed if other nodes change records during a
   * lease, for example to add work. Without it, any change by another node ends the lease.
   */
  isHeld?: (now: T) => boolean;
}

/**
 * The right of one node to work on one record. The node loses it if the lease runs out and another node claims the
 * record. Every write is a compare-and-swap, so a node that was suspended meanwhile cannot overwrite another node's
 * claim. `renew`, `reschedule` and `refresh` return whether the lease was still held. After a loss, another node may repeat
 * the work.
 * @throws StoreUnavailable from each method that uses the store; a write may have happened nevertheless
 */
export class Lease<T extends Due> {
  readonly key: Key<T>;
  readonly #rules: QueueRules<T>;
  #value: T;
  /** The record as this lease last read or wrote it; undefined once the lease is lost or over. */
  #seen: Stored<T> | undefined;
  #isChangedByOthers = false;
  /**
   * The latest read or write. They run one after another, because each needs the version that the previous one left.
   */
  #last: Promise<unknown>;

  /**
   * @param claimed the value that this node wrote to claim the record
   * @param read the record, which may still be loading
   */
  constructor(rules: QueueRules<T>, key: Key<T>, claimed: T, read: Promise<Stored<T> | undefined>) {
    this.key = key;
    this.#rules = rules;
    this.#value = claimed;
    this.#last = read.then(
      (stored) => {
        this.#seen = stored?.value.dueAt === claimed.dueAt ? stored : undefined;
      },
      () => undefined,
    );
  }

  /** The record's value, as last seen. */
  get value(): T {
    return this.#value;
  }

  /** Does work, and renews the lease meanwhile. */
  async during<R>(work: () => Promise<R>): Promise<R> {
    const timer = setInterval(() => {
      // After a failed renewal the next one tries again; at worst another node repeats the work.
      this.renew().catch(() => undefined);
    }, this.#rules.lease / 3).unref();
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }

  /** Extends the lease, and stores progress. */
  renew(change: (now: T) => T = (now) => now): Promise<boolean> {
    const { clock, lease } = this.#rules;
    return this.#next(() => this.#write((now) => ({ ...change(now), dueAt: clock.now() + lease }), this.#open));
  }

  /** Ends the lease. The record is due again at the `dueAt` of the changed value. */
  reschedule(change: (now: T) => T): Promise<boolean> {
    return this.#next(() => this.#write(change, this.#open, 'last'));
  }

  /** Reads the changes that other nodes have made to the record. */
  refresh(): Promise<boolean> {
    return this.#next(async () => {
      const isHeld = await this.#read();
      this.#isChangedByOthers = false;
      return isHeld;
    });
  }

  /**
   * Ends the lease, and keeps the record outside the index until a caller puts it back. If another node has changed the
   * record since the last `refresh`, it may have added work, so the lease continues.
   * @returns whether the lease ended
   */
  idle(change: (now: T) => T): Promise<boolean> {
    return this.#next(() => this.#writeUnchanged(change, { ttl: this.#rules.life }));
  }

  /** Deletes the record, unless others have changed it. */
  done(): Promise<boolean> {
    return this.#next(() => this.#writeUnchanged((now) => now, { ttl: 0 }));
  }

  get #open(): WriteOptions {
    return { ttl: this.#rules.life, indexes: [this.#rules.index] };
  }

  #next<R>(step: () => Promise<R>): Promise<R> {
    const result = this.#last.then(step);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #write(change: (now: T) => T, options: WriteOptions, last?: 'last'): Promise<boolean> {
    while (this.#rules.isHeld === undefined || (await this.#read())) {
      if (this.#seen === undefined) return false;
      if (await this.#replace(this.#seen, change, options)) {
        if (last !== undefined) this.#seen = undefined;
        return true;
      }
      if (this.#rules.isHeld === undefined) this.#seen = undefined;
    }
    return false;
  }

  async #writeUnchanged(change: (now: T) => T, options: WriteOptions): Promise<boolean> {
    if (this.#seen === undefined || this.#isChangedByOthers) return false;
    const isWritten = await this.#replace(this.#seen, change, options);
    if (isWritten || this.#rules.isHeld === undefined) this.#seen = undefined;
    return isWritten;
  }

  async #replace(seen: Stored<T>, change: (now: T) => T, options: WriteOptions): Promise<boolean> {
    const value = change(seen.value);
    const isWritten = await this.#rules.store.replace(this.key, value, seen.version, options);
    if (isWritten) [this.#seen, this.#value] = [{ ...seen, value, version: seen.version + 1 }, value];
    return isWritten;
  }

  /** @returns whether the lease is held */
  async #read(): Promise<boolean> {
    if (this.#seen === undefined) return false;
    const now = await this.#rules.store.get(this.key);
    const isSame = now?.version === this.#seen.version;
    const isHeld = now !== undefined && (isSame || this.#rules.isHeld?.(now.value) === true);
    this.#isChangedByOthers ||= !isSame;
    this.#seen = isHeld ? now : undefined;
    if (isHeld) this.#value = now.value;
    return isHeld;
  }
}
