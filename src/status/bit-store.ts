import type { Clock } from '../lib/clock.ts';
import type { Bitmap, Index, Store } from '../storage/store.ts';
import { lifeOf, listKey, type ListRecord, type StatusList, CAPACITY } from './lists.ts';

/**
 * Converts an index to the store's bit offset. A status list counts from a byte's lowest bit
 * (draft-ietf-oauth-status-list-20 §4.1), the store from its highest. So the store's bytes are the list's.
 */
function offsetOf(idx: number): number {
  return idx ^ 7;
}

export function isSet(bytes: Uint8Array, idx: number): boolean {
  return (((bytes[idx >>> 3] ?? 0) >>> (idx & 7)) & 1) === 1;
}

export function setBit(bytes: Uint8Array, idx: number): void {
  bytes[idx >>> 3] = (bytes[idx >>> 3] ?? 0) | (1 << (idx & 7));
}

/** Returns the indexes whose bits are set in `these` but not in `those`, which may be shorter. */
export function setOnlyIn(these: Uint8Array, those: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at < these.length; at += 1) {
    const byte = (these[at] ?? 0) & ~(those[at] ?? 0);
    if (byte === 0) continue;
    for (let bit = 0; bit < 8; bit += 1) if ((byte >>> bit) & 1) found.push(at * 8 + bit);
  }
  return found;
}

/** Returns a list of full length that contains the stored bits. */
export function wholeList(stored: Uint8Array = new Uint8Array()): Buffer {
  const bits = Buffer.alloc(CAPACITY / 8);
  bits.set(stored.subarray(0, bits.length));
  return bits;
}

/** Channel of the notice that a list has changed. A notice may be lost, so every node polls as well. */
export const LISTS_CHANGED = 'status-lists';

/** Index of the live lists. */
export const LISTS: Index<ListRecord> = 'status-lists';
export const bitsOf = (list: string): Bitmap => `status-bits:${list}`;

/** Maximum number of bits that one call sets, so that a long call does not block the store. */
const MAX_BITS = 10_000;

/** Sets bits of a list, then increments the list's version, so that other nodes notice the change. */
export async function markBits(
  { grants, clock }: { grants: Store; clock: Clock },
  list: StatusList,
  indexes: readonly number[],
): Promise<void> {
  const ttl = lifeOf(list, clock);
  for (let at = 0; at < indexes.length; at += MAX_BITS) {
    await grants.setBits(bitsOf(list.id), indexes.slice(at, at + MAX_BITS).map(offsetOf), ttl);
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
 * Tells whether the store still has a list's bits. A store that evicts records, or was restored from an older copy, may
 * have lost them.
 */
export function isWhole(record: ListRecord | undefined, bits: Uint8Array): boolean {
  return record !== undefined && (!record.hasBits || bits.length > 0);
}
