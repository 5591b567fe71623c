import type { Index, Key, Store, Stored } from './store.ts';

/** All members of an index, a page at a time; callers skip what is absent. What is deleted on the way disturbs nothing. */
export async function* everyMember<T>(store: Store, index: Index<T>, limit = 100): AsyncGenerator<Key<T>[]> {
  let after: string | undefined;
  do {
    const page = await store.members(index, { limit, ...(after !== undefined && { after }) });
    yield page.keys;
    after = page.next;
  } while (after !== undefined);
}

/** All records of an index, with their keys, read a page at a time; members whose record is gone are left out. */
export async function* everyRecord<T>(store: Store, index: Index<T>): AsyncGenerator<Stored<T> & { key: Key<T> }> {
  for await (const keys of everyMember(store, index)) {
    const found = await store.getMany(keys);
    for (const [at, key] of keys.entries()) {
      const stored = found[at];
      if (stored !== undefined) yield { ...stored, key };
    }
  }
}
