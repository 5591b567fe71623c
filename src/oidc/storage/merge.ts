import { isDeepStrictEqual } from 'node:util';

/**
 * Merges JSON objects member by member at every depth: applies the changes from `before` to `ours` to `now`, which
 * others have changed meanwhile.
 */
export function mergeChanges<T extends object>(before: T, ours: T, now: T): T {
  const [was, is] = [members(before), members(ours)];
  const merged = new Map(Object.entries(now));
  for (const name of new Set([...Object.keys(was), ...Object.keys(is)])) {
    if (isDeepStrictEqual(was[name], is[name])) continue;
    if (is[name] === undefined) merged.delete(name);
    else if (!isObject(is[name])) merged.set(name, is[name]);
    else merged.set(name, mergeChanges(members(was[name]), is[name], members(merged.get(name))));
  }
  return Object.fromEntries(merged) as T;
}

function members(value: unknown): Record<string, unknown> {
  return isObject(value) ? { ...value } : {};
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
