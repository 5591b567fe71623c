import { CAPACITY } from './lists.ts';

/**
 * Bits in the order of draft-ietf-oauth-status-list-20 §4.1, where the first of a byte is its lowest; the store counts
 * from the highest. So the store's bytes are the list's.
 */
export function offsetOf(idx: number): number {
  return idx ^ 7;
}

export function isSet(bytes: Uint8Array, idx: number): boolean {
  return (((bytes[idx >>> 3] ?? 0) >>> (idx & 7)) & 1) === 1;
}

export function setBit(bytes: Uint8Array, idx: number): void {
  bytes[idx >>> 3] = (bytes[idx >>> 3] ?? 0) | (1 << (idx & 7));
}

/** The indexes whose bits are set in `these` and not in `those`, which may be shorter. */
export function setOnlyIn(these: Uint8Array, those: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at < these.length; at += 1) {
    const byte = (these[at] ?? 0) & ~(those[at] ?? 0);
    if (byte === 0) continue;
    for (let bit = 0; bit < 8; bit += 1) if ((byte >>> bit) & 1) found.push(at * 8 + bit);
  }
  return found;
}

/** A list as long as all are, with what the store has of it. */
export function wholeList(stored: Uint8Array = new Uint8Array()): Buffer {
  const bits = Buffer.alloc(CAPACITY / 8);
  bits.set(stored.subarray(0, bits.length));
  return bits;
}
