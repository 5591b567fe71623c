import type { Clock } from '../lib/clock.ts';
import type { Bitmap, Index, Store } from '../storage/store.ts';
import { offsetOf } from './bits.ts';
import { lifeOf, listKey, type ListRecord, type StatusList } from './lists.ts';

/** Channel of the notice that a list has changed. It may be lost: every node polls as well. */
export const LISTS_CHANGED = 'status-lists';

/** Index of the live lists. */
export const LISTS: Index<ListRecord> = 'status-lists';
export const bitsOf = (list: string): Bitmap => `status-bits:${list}`;

/** Most bits in one call, so that a long call does not block the store. */
const MOST = 10_000;

/** Sets bits of a list, then increments its version, by which other nodes notice the change. */
export async function markBits(
  { grants, clock }: { grants: Store; clock: Clock },
  list: StatusList,
  indexes: readonly number[],
): Promise<void> {
  const ttl = lifeOf(list, clock);
  for (let at = 0; at < indexes.length; at += MOST) {
    await grants.setBits(bitsOf(list.id), indexes.slice(at, at + MOST).map(offsetOf), ttl);
  }
  await writeList({ grants, clock }, list, true);
}

export async function writeList(
  { grants, clock }: { grants: Store; clock: Clock },
  list: StatusList,
  hasBits: boolean,
): Promise<void> {
  await grants.set(
    listKey(list.id),
    { hasBits, writtenAt: clock.now() },
    { ttl: lifeOf(list, clock), indexes: [LISTS] },
  );
}

/**
 * Tells whether the store still has a list's bits. A store that evicts, or was restored from a copy, may have lost
 * them.
 */
export function isWhole(record: ListRecord | undefined, bits: Uint8Array): boolean {
  return record !== undefined && (!record.hasBits || bits.length > 0);
}
