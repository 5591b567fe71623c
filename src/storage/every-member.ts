import type { Index, Key, Store, Stored } from './store.ts';

/**
 * Iterates over all members of an index, page by page; callers skip absent records. Concurrent deletions do no harm.
 */
export async function* everyMember<T>(store: Store, index: Index<T>, limit = 100): AsyncGenerator<Key<T>[]> {
  let after: string | undefined;
  do {
    const page = await store.members(index, { limit, ...(after !== undefined && { after }) });
    yield page.keys;
    after = page.next;
  } while (after !== undefined);
}

/** Iterates over all records of an index with their keys, page by page; absent records are skipped. */
export async function* everyRecord<T>(store: Store, index: Index<T>): AsyncGenerator<Stored<T> & { key: Key<T> }> {
  for await (const keys of everyMember(store, index)) {
    const found = await store.getMany(keys);
    for (const [at, key] of keys.entries()) {
      const stored = found[at];
      if (stored !== undefined) yield { ...stored, key };
    }
  }
}
