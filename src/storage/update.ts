import type { Key, Store, Stored, WriteOptions } from './store.ts';

/** Options of a write, or a function that derives them from the value. */
type Options<T> = WriteOptions | ((changed: T) => WriteOptions);

/**
 * Changes a record that the caller has read. If others have changed it since, the change is applied to their version,
 * until the write succeeds. A deleted record stays deleted.
 * @param change returns the new value, or `undefined` to leave the record unchanged
 * @returns the resulting value; `undefined` if there is no record
 */
export async function update<T>(
  store: Store,
  key: Key<T>,
  read: Stored<T> | undefined,
  change: (now: T) => T | undefined | Promise<T | undefined>,
  options?: Options<T>,
): Promise<T | undefined> {
  for (let now = read; now !== undefined; now = await store.get(key)) {
    const changed = await change(now.value);
    if (changed === undefined) return now.value;
    if (await store.replace(key, changed, now.version, optionsFor(changed, options))) return changed;
  }
  return undefined;
}

/**
 * Changes a record as {@link update} does, or creates it if there is none.
 * @param first the value of a new record
 * @returns the resulting value
 */
export async function upsert<T>(
  store: Store,
  key: Key<T>,
  read: Stored<T> | undefined,
  { first, change }: { first: T; change: (now: T) => T | undefined | Promise<T | undefined> },
  options?: Options<T>,
): Promise<T> {
  for (let now = read; ; now = await store.get(key)) {
    const changed = await update(store, key, now, change, options);
    if (changed !== undefined) return changed;
    if (await store.create(key, first, optionsFor(first, options))) return first;
  }
}

function optionsFor<T>(value: T, options: Options<T> | undefined): WriteOptions | undefined {
  return typeof options === 'function' ? options(value) : options;
}
