import type { Due, Lease } from './lease.ts';
import type { Key, Stored } from './store.ts';
import type { WorkQueue } from './work-queue.ts';

interface WorkerRules<T extends Due> {
  /**
   * Does the work of a record, and ends the lease. It may run more than once: if it throws or leaves the lease open,
   * the lease runs out, and any node repeats the work.
   * @param isClosing returns true once this node should leave the rest of the work to others
   */
  work: (lease: Lease<T>, isClosing: () => boolean) => Promise<void>;
  /** Milliseconds between two polls for due work. */
  pollInterval: number;
  /** Maximum number of records that this node works on at the same time. */
  atOnce: number;
  /** Reports failed work, which is retried. */
  reportFailure: (error: unknown) => void;
}

/** Maximum number of index pages that one poll reads. A page has 100 records. */
const PAGES = 10;

/** Does one node's share of the work in a queue. */
export class QueueWorker<T extends Due> {
  readonly #queue: WorkQueue<T>;
  readonly #rules: WorkerRules<T>;
  readonly #running = new Map<Key<T>, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #polling: Promise<void> | undefined;
  /** Cursor at which the next poll starts. It is where the last poll ended, so that no record hides later ones. */
  #after: string | undefined;
  #isClosing = false;

  constructor(queue: WorkQueue<T>, rules: WorkerRules<T>) {
    this.#queue = queue;
    this.#rules = rules;
  }

  /** Polls for due work until the worker is closed. */
  start(): void {
    if (this.#isClosing) return;
    this.#timer ??= setInterval(() => {
      this.#polling ??= this.#poll()
        .catch(this.#rules.reportFailure)
        .finally(() => {
          this.#polling = undefined;
        });
    }, this.#rules.pollInterval).unref();
  }

  /** Does the due work of these records. If the node is too busy for some of them, they wait for a later poll. */
  async now(keys: readonly Key<T>[]): Promise<void> {
    // Most callers pass no keys, and they should not wait for a slow store.
    if (keys.length === 0) return;
    const found = await this.#queue.rules.store.getMany(keys);
    await Promise.all(
      keys.map(async (key, at) => {
        const stored = found[at];
        if (stored !== undefined) await this.#claim(key, stored);
      }),
    );
  }

  /** Continues work under a lease that this node holds, even if the node is busy. */
  resume(lease: Lease<T>): Promise<void> {
    // The work may run already, if the lease ran out and this node has claimed the record again.
    return this.#running.get(lease.key) ?? this.#run(lease.key, () => this.#workUnderLease(lease));
  }

  /** Stops polling, and waits until all started work has ended. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#timer);
    await this.#polling;
    await Promise.all(this.#running.values());
  }

  async #poll(): Promise<void> {
    const { store, index } = this.#queue.rules;
    for (let pages = 0; pages < PAGES && !this.#isClosing; pages += 1) {
      const { keys, next } = await store.members(index, this.#after === undefined ? {} : { after: this.#after });
      this.#after = next;
      const found = await store.getMany(keys);
      for (const [at, key] of keys.entries()) {
        const stored = found[at];
        if (stored === undefined || !this.#isOpen(key, stored)) continue;
        while (this.#running.size >= this.#rules.atOnce) await Promise.race(this.#running.values());
        void this.#claim(key, stored);
      }
      if (next === undefined) return;
    }
  }

  /** Tells whether a record awaits work that this node is not doing already. */
  #isOpen(key: Key<T>, stored: Stored<T>): boolean {
    return !this.#running.has(key) && this.#queue.isDue(stored);
  }

  async #claim(key: Key<T>, stored: Stored<T>): Promise<void> {
    if (this.#isClosing || this.#running.size >= this.#rules.atOnce || !this.#isOpen(key, stored)) return;
    await this.#run(key, async () => {
      const lease = await this.#queue.claim(key, stored);
      if (lease !== undefined) await this.#workUnderLease(lease);
    });
  }

  #workUnderLease(lease: Lease<T>): Promise<void> {
    return lease.during(() => this.#rules.work(lease, () => this.#isClosing));
  }

  #run(key: Key<T>, work: () => Promise<void>): Promise<void> {
    const running = work()
      .catch(this.#rules.reportFailure)
      .finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    return running;
  }
}
