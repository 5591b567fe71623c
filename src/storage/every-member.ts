import type { Index, Key, Store, Stored } from './store.ts';

/**
 * Iterates over all members of an index, page by page. A member's record may be absent, and then the caller skips it.
 * Members may be deleted meanwhile.
 */
export async function* everyMember<T>(store: Store, index: Index<T>, limit = 100): AsyncGenerator<Key<T>[]> {
  let after: string | undefined;
  do {
    const page = await store.members(index, { limit, ...(after !== undefined && { after }) });
    yield page.keys;
    after = page.next;
  } while (after !== undefined);
}

/** Iterates over all records of an index with their keys. It reads them page by page, and skips absent records. */
export async function* everyRecord<T>(store: Store, index: Index<T>): AsyncGenerator<Stored<T> & { key: Key<T> }> {
  for await (const keys of everyMember(store, index)) {
    const found = await store.getMany(keys);
    for (const [at, key] of keys.entries()) {
      const stored = found[at];
      if (stored !== undefined) yield { ...stored, key };
    }
  }
}

/** Number of concurrent tasks: enough to hide the latency of a slow store, too few to starve its other users. */
const CONCURRENCY = 50;

/**
 * Runs `work` for every item, up to 50 at once, until one fails.
 * @throws the first failure, once all started work has ended
 */
export async function forEachConcurrently<T>(
  items: AsyncIterable<T> | Iterable<T>,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  try {
    for await (const item of items) {
      if (running.size >= CONCURRENCY) await Promise.race(running);
      if (failures.length > 0) break;
      const one: Promise<void> = work(item)
        .then(() => undefined)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => running.delete(one));
      running.add(one);
    }
  } catch (error) {
    failures.push(error);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
