/** The bytes with the bits at these offsets set, grown as needed; bit 0 is the highest of byte 0, as in Redis. */
export function withBits(bytes: Uint8Array, offsets: readonly number[]): Uint8Array {
  const size = offsets.reduce((most, offset) => Math.max(most, (offset >>> 3) + 1), bytes.length);
  const grown = new Uint8Array(size);
  grown.set(bytes);
  for (const offset of offsets) grown[offset >>> 3] = (grown[offset >>> 3] ?? 0) | (0x80 >> (offset & 7));
  return grown;
}
