import type { Key, Store, Stored, WriteOptions } from './store.ts';

/**
 * Changes a record that was read a while ago. Where others have changed it since, the change is made again to what they
 * left, until it goes in; a record that is gone stays gone.
 * @param change `undefined` leaves the record as it is
 * @returns whether the record was there
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
