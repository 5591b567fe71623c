import type { Due, Lease } from './lease.ts';
import type { Key, Stored } from './store.ts';
import type { WorkQueue } from './work-queue.ts';

interface WorkerRules<T extends Due> {
  /**
   * Does the work of a record, and ends the lease. It may run more than once. A lease that stays open, or that an error
   * leaves open, runs out, and then any node repeats the work.
   * @param isClosing true once this node should leave the rest of the work to others
   */
  work: (lease: Lease<T>, isClosing: () => boolean) => Promise<void>;
  /** Milliseconds between two looks for work that is due. */
  lookEvery: number;
  /** Records that this node works on at the same time. */
  atOnce: number;
  /** Reports work that failed; it is retried. */
  reportFailure: (error: unknown) => void;
}

/** Pages of the index that one look reads; a page has 100 records. */
const PAGES = 10;

/** One node's share of the work in a queue. */
export class QueueWorker<T extends Due> {
  readonly #queue: WorkQueue<T>;
  readonly #rules: WorkerRules<T>;
  readonly #running = new Map<Key<T>, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  /** Cursor of the next look. It starts where the last one ended, so that no record hides those after it. */
  #after: string | undefined;
  #isClosing = false;

  constructor(queue: WorkQueue<T>, rules: WorkerRules<T>) {
    this.#queue = queue;
    this.#rules = rules;
  }

  /** Looks for work that is due, until it is closed. */
  start(): void {
    if (this.#isClosing) return;
    this.#timer ??= setInterval(() => {
      this.#looking ??= this.#look()
        .catch(this.#rules.reportFailure)
        .finally(() => {
          this.#looking = undefined;
        });
    }, this.#rules.lookEvery).unref();
  }

  /** Does the due work of these records. Records for which the node is too busy wait for the next look. */
  async now(keys: readonly Key<T>[]): Promise<void> {
    // Most callers have no records, and a slow store would make them wait.
    if (keys.length === 0) return;
    const found = await this.#queue.rules.store.getMany(keys);
    await Promise.all(
      keys.map(async (key, at) => {
        const stored = found[at];
        if (stored !== undefined) await this.#take(key, stored);
      }),
    );
  }

  /** Continues under a lease of this node, however busy the node is. */
  goOn(lease: Lease<T>): Promise<void> {
    // Already running: the lease ran out, and this node has claimed the record again.
    return this.#running.get(lease.key) ?? this.#run(lease.key, () => this.#workUnder(lease));
  }

  /** Waits until all started work has ended. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#timer);
    await this.#looking;
    await Promise.all(this.#running.values());
  }

  async #look(): Promise<void> {
    const { store, index } = this.#queue.rules;
    for (let pages = 0; pages < PAGES && !this.#isClosing; pages += 1) {
      const { keys, next } = await store.members(index, this.#after === undefined ? {} : { after: this.#after });
      this.#after = next;
      const found = await store.getMany(keys);
      for (const [at, key] of keys.entries()) {
        const stored = found[at];
        if (stored === undefined || !this.#isOpen(key, stored)) continue;
        while (this.#running.size >= this.#rules.atOnce) await Promise.race(this.#running.values());
        void this.#take(key, stored);
      }
      if (next === undefined) return;
    }
  }

  /** Tells whether a record awaits work that this node is not doing already. */
  #isOpen(key: Key<T>, stored: Stored<T>): boolean {
    return !this.#running.has(key) && this.#queue.isDue(stored);
  }

  async #take(key: Key<T>, stored: Stored<T>): Promise<void> {
    if (this.#isClosing || this.#running.size >= this.#rules.atOnce || !this.#isOpen(key, stored)) return;
    await this.#run(key, async () => {
      const lease = await this.#queue.claim(key, stored);
      if (lease !== undefined) await this.#workUnder(lease);
    });
  }

  #workUnder(lease: Lease<T>): Promise<void> {
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
