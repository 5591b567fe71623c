import type { Index, Key, Store } from './store.ts';

/** All members of an index, a page at a time; callers skip what is absent. What is deleted on the way disturbs nothing. */
export async function* everyMember<T>(store: Store, index: Index<T>, limit = 100): AsyncGenerator<Key<T>[]> {
  let after: string | undefined;
  do {
    const page = await store.members(index, { limit, ...(after !== undefined && { after }) });
    yield page.keys;
    after = page.next;
  } while (after !== undefined);
}
