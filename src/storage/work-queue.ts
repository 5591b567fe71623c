import { Lease, type Due, type QueueRules } from './lease.ts';
import type { Key, Stored, WriteOptions } from './store.ts';

/**
 * A queue of durable work that any node may do. Each piece of work is done at least once, by one node at a time. If
 * that node dies, another one continues. A node claims a record by moving its `dueAt` ahead, in a compare-and-swap, and
 * then holds a `Lease` on it.
 */
export class WorkQueue<T extends Due> {
  readonly rules: QueueRules<T>;

  constructor(rules: QueueRules<T>) {
    this.rules = rules;
  }

  /** Stores a piece of work, unless its key exists already. */
  async add(key: Key<T>, value: T): Promise<void> {
    await this.rules.store.create(key, value, this.open);
  }

  /** Options of a write that leaves the record in the index. */
  get open(): WriteOptions {
    return { ttl: this.rules.life, indexes: [this.rules.index] };
  }

  /** Stores work under a new key, and claims it for this node. */
  async begin(key: Key<T>, value: T): Promise<Lease<T>> {
    const { store, clock, lease } = this.rules;
    const claimed = { ...value, dueAt: clock.now() + lease };
    await this.add(key, claimed);
    return new Lease(this.rules, key, claimed, store.get(key));
  }

  isDue({ value }: Stored<T>): boolean {
    return value.dueAt <= this.rules.clock.now();
  }

  /** Claims a record for this node. @returns undefined if another node was faster */
  async claim(key: Key<T>, stored: Stored<T>): Promise<Lease<T> | undefined> {
    const { store, clock, lease, claim } = this.rules;
    const changed = claim === undefined ? stored.value : await claim(stored.value);
    const value = { ...changed, dueAt: clock.now() + lease };
    const isClaimed = await store.replace(key, value, stored.version, this.open);
    if (!isClaimed) return undefined;
    return new Lease(this.rules, key, value, Promise.resolve({ ...stored, value, version: stored.version + 1 }));
  }
}

/**
 * Returns the pause before the next attempt.
 * @param failures the number of failed attempts so far
 * @param pauses seconds after the first failure, after the second, and so on
 * @returns milliseconds; undefined after the last pause, when the caller should give up
 */
export function pauseAfter(failures: number, pauses: readonly number[]): number | undefined {
  const seconds = pauses[failures - 1];
  return seconds === undefined ? undefined : seconds * 1000;
}
