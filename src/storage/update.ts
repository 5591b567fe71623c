import type { Key, Store, Stored, WriteOptions } from './store.ts';

/**
 * Changes a record that was read earlier. If others have changed it, the change is repeated on their version until the
 * write succeeds. A deleted record stays deleted. @param change `undefined` leaves the record unchanged @returns
 * whether the record existed
 */
export async function update<T>(
  store: Store,
  key: Key<T>,
  read: Stored<T> | undefined,
  change: (now: T) => T | undefined,
  options?: WriteOptions,
): Promise<boolean> {
  for (let now = read; now !== undefined; now = await store.get(key)) {
    const changed = change(now.value);
    if (changed === undefined || (await store.replace(key, changed, now.version, options))) return true;
  }
  return false;
}
