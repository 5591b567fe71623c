import { createHash } from 'node:crypto';
import { quoted } from '../lib/hidden-characters.ts';
import { isLoadingMark, type Load } from '../storage/loading.ts';
import { isUnknown, kindOf, roleOf } from '../storage/kinds.ts';
import type { Item, Key, Store } from '../storage/store.ts';

type Batches = AsyncIterable<readonly Item[]>;

/** The part of a store that is copied; undefined to copy everything. */
export type Part = 'records' | 'grants' | undefined;

/** A copy under way. */
interface Copying {
  from: Store;
  to: Store;
  part: Part;
  load: Load;
}

/**
 * Milliseconds after a server's latest readiness record until the server counts as stopped. A running server writes one
 * at least every ten seconds.
 */
export const STOPPED_AFTER = 20_000;

/** Kinds that describe the servers and commands on one store. An interrupted upgrade begins again in the copy. */
const NOT_COPIED = new Set(['readiness', 'store-upgrade']);

function isCopied(item: Item, part: Part): boolean {
  if (isLoadingMark(item) || NOT_COPIED.has(kindOf(item))) return false;
  // Each store has its own marker, so both parts include it.
  // A record of an unknown kind may belong to either.
  return part === undefined || roleOf(item) === part || kindOf(item) === 'store-marker' || isUnknown(item);
}

/** The versions of the servers' readiness records, by their keys. */
type Readiness = ReadonlyMap<string, number>;

/**
 * Tells whether a server has used the store since a moment within the last minute. Servers date their readiness records by
 * the clock of the grants store, which may be another store. So a later look also compares their versions.
 * @param before the versions at an earlier look
 */
export async function findUse(
  store: Pick<Store, 'dump'>,
  since: number,
  before?: Readiness,
): Promise<{ isInUse: boolean; readiness: Readiness }> {
  const readiness = new Map<string, number>();
  for await (const batch of store.dump()) {
    for (const item of batch) {
      if (item.kind !== 'record' || kindOf(item) !== 'readiness') continue;
      readiness.set(item.key, item.version);
      const isChanged = before !== undefined && before.get(item.key) !== item.version;
      if (isChanged || isReadySince(item, since)) return { isInUse: true, readiness };
    }
  }
  return { isInUse: false, readiness };
}

/** Yields the readiness records of the servers that have used the store since a moment. */
export async function* nodesInUse(store: Pick<Store, 'dump'>, since: number): AsyncGenerator<{ reads?: number }> {
  for await (const batch of store.dump()) {
    for (const item of batch)
      if (item.kind === 'record' && isReadySince(item, since)) yield JSON.parse(item.json) as { reads?: number };
  }
}

/** Tells whether an item is the readiness record of a server that has used the store since a moment. */
export function isReadySince(item: Item, since: number): boolean {
  if (item.kind !== 'record' || kindOf(item) !== 'readiness') return false;
  const value: unknown = JSON.parse(item.json);
  return typeof value === 'object' && value !== null && 'at' in value && Number(value.at) > since;
}

/**
 * Copies items. It skips records that the target has in the same version, so that a repeated copy continues the first
 * one.
 */
export async function copyStore(
  { from, to, part, load }: Copying,
  onBatch: (batch: readonly Item[]) => void,
): Promise<void> {
  for await (const batch of from.dump()) {
    const chosen = batch.filter((item) => isCopied(item, part));
    const records = chosen.filter((item) => item.kind === 'record');
    const found = await to.getMany(records.map(({ key }) => key));
    const unchanged = new Set<Item>(
      records.filter(({ version, consumedAt, expiresAt }, at) => {
        const existing = found[at];
        return existing?.version === version && existing.consumedAt === consumedAt && existing.expiresAt === expiresAt;
      }),
    );
    await Promise.all([to.load(chosen.filter((item) => !unchanged.has(item))), load.renew()]);
    onBatch(batch);
  }
}

/** Tells whether a store holds anything that a copy would contain. */
export async function holdsItems(store: Pick<Store, 'dump'>): Promise<boolean> {
  for await (const batch of store.dump()) if (batch.some((item) => isCopied(item, undefined))) return true;
  return false;
}

/** The record by which a server recognizes its store. It is in each store that a server has used. */
const MARKER: Key<{ id: string }> = 'store-marker:main';

/** Tells whether the target holds a copy of another store than the source, or of one that the source has lost. */
export async function isCopyOfAnother({ from, to }: Pick<Copying, 'from' | 'to'>): Promise<boolean> {
  const copied = await to.get(MARKER);
  return copied !== undefined && copied.value.id !== (await from.get(MARKER))?.value.id;
}

/** Records of the target that the source no longer has, and the number of all its records. */
interface Surplus {
  keys: string[];
  records: number;
}

/**
 * Finds the target's records that the source has lost since an earlier pass copied them. Other items only expire, at
 * the same time in both stores.
 */
export async function findSurplus({ from, to, part, load }: Copying): Promise<Surplus> {
  const surplus: Surplus = { keys: [], records: 0 };
  for await (const batch of load.during(to.dump())) {
    const keys = batch.filter((item) => item.kind === 'record' && isCopied(item, part)).map(({ key }) => key);
    const found = await from.getMany(keys);
    surplus.records += keys.length;
    surplus.keys.push(...keys.filter((_key, at) => found[at] === undefined));
  }
  return surplus;
}

/** Number of records that are deleted at once. */
const DELETED_AT_ONCE = 500;

export async function deleteSurplus(
  { to, load }: Pick<Copying, 'to' | 'load'>,
  keys: readonly string[],
): Promise<void> {
  for (let at = 0; at < keys.length; at += DELETED_AT_ONCE) {
    await Promise.all(keys.slice(at, at + DELETED_AT_ONCE).map((key) => to.delete(key)));
    await load.renew();
  }
}

/**
 * The content of a store by kind: the number of items, and a sum of their hashes that does not depend on their order.
 */
type Summary = Map<string, { items: number; sum: bigint }>;

/**
 * Summarizes the items that do not expire before `until`. A member counts once and without its expiry, because some
 * backends keep one entry for each expiry of a member that was enlisted twice.
 */
export async function summarize(batches: Batches, { part, until }: { part: Part; until: number }): Promise<Summary> {
  const summary: Summary = new Map();
  const members = new Set<bigint>();
  const add = (item: Item): void => {
    const hash = hashOf(item);
    if (item.kind === 'member' && members.has(hash)) return;
    if (item.kind === 'member') members.add(hash);
    const { items, sum } = summary.get(kindOf(item)) ?? { items: 0, sum: 0n };
    summary.set(kindOf(item), { items: items + 1, sum: BigInt.asUintN(64, sum + hash) });
  };
  for await (const batch of batches) {
    for (const item of batch) if (isCopied(item, part) && (item.expiresAt ?? Infinity) >= until) add(item);
  }
  return summary;
}

function hashOf(item: Item): bigint {
  return createHash('sha256')
    .update(JSON.stringify(hashedValues(item)))
    .digest()
    .readBigUInt64BE();
}

function hashedValues(item: Item): unknown[] {
  switch (item.kind) {
    case 'record': {
      const { key, json, version, consumedAt, expiresAt, indexes = [], terms = [] } = item;
      return [key, json, version, consumedAt, expiresAt, [...indexes].sort(), [...terms].sort()];
    }
    case 'member':
      return [item.index, item.key];
    case 'counter':
      return [item.key, item.sum, item.expiresAt];
    case 'bitmap':
      return [item.key, item.bits.toString('base64'), item.expiresAt];
  }
}

/** @returns the kinds that differ, with the number of items in each store */
export function differences(these: Summary, those: Summary): string[] {
  const nothing = { items: 0, sum: 0n };
  const kinds = [...new Set([...these.keys(), ...those.keys()])].toSorted();
  return kinds.flatMap((kind) => {
    const [one = nothing, other = nothing] = [these.get(kind), those.get(kind)];
    if (one.items !== other.items) return [`${quoted(kind)}: ${one.items} and ${other.items}`];
    return one.sum === other.sum ? [] : [`${kind}: ${one.items} in both, but their contents differ`];
  });
}
