import { isIPv6, isIP } from 'node:net';

/** Lengths in bits of the IPv6 prefix that a subscriber may hold: one network, a household, a site (RFC 6177). */
const PREFIXES = [64, 56, 48] as const;

/**
 * Returns the narrowest block that one subscriber holds: the IPv4 address itself, or the /64 of an IPv6 address (RFC
 * 6177 §2). The subscriber may pick any address within the /64. Returns other text unchanged.
 */
export function addressBlock(address: string): string {
  return addressBlocks(address)[0];
}

/** Returns the widest block that one subscriber may hold: the IPv4 address itself, or the /48 of an IPv6 address. */
export function widestBlock(address: string): string {
  return addressBlocks(address).at(-1) ?? address;
}

/**
 * Returns every block that one subscriber may hold, the narrowest first: the IPv4 address itself, or the /64, /56 and
 * /48 of an IPv6 address. Returns other text unchanged.
 */
export function addressBlocks(address: string): readonly [string, ...string[]] {
  const bare = address.replace(/%.*$/s, '');
  if (!isIPv6(bare)) return [bare];
  const groups = groupsOf(bare);
  const inner = innerIPv4(groups);
  if (inner !== undefined) return [inner];
  const [narrowest, ...wider] = PREFIXES;
  return [prefixOf(groups, narrowest), ...wider.map((length) => prefixOf(groups, length))];
}

/**
 * Returns the IPv4 address that an IPv6 address contains. The IPv6 address may be a mapped one (RFC 4291 §2.5.5.2), or
 * an address of NAT64 (RFC 6052 §2.1, RFC 8215), 6to4 (RFC 3056) or Teredo (RFC 4380 §4). Teredo inverts the bits.
 */
function innerIPv4(groups: readonly number[]): string | undefined {
  const [first, second = 0, third = 0, , , , high = 0, low = 0] = groups;
  if (isMapped(groups) || isTranslated(groups)) return ipv4(high, low);
  if (first === 0x2002) return ipv4(second, third);
  if (first === 0x2001 && second === 0) return ipv4(high ^ 0xffff, low ^ 0xffff);
  return undefined;
}

function isMapped(groups: readonly number[]): boolean {
  return areZero(groups.slice(0, 5)) && groups[5] === 0xffff;
}

function isTranslated([first, second, third, ...rest]: readonly number[]): boolean {
  return first === 0x64 && second === 0xff9b && (third === 1 || (third === 0 && areZero(rest.slice(0, 3))));
}

function areZero(groups: readonly number[]): boolean {
  return groups.every((group) => group === 0);
}

function ipv4(...groups: readonly [high: number, low: number]): string {
  return groups.flatMap((group) => [group >> 8, group & 255]).join('.');
}

function prefixOf(groups: readonly number[], length: (typeof PREFIXES)[number]): string {
  const kept = [0, 1, 2, 3].map((index) => {
    const bits = Math.min(16, Math.max(0, length - 16 * index));
    return (groups[index] ?? 0) & (0xffff << (16 - bits)) & 0xffff;
  });
  return `${kept.map((group) => group.toString(16)).join(':')}::/${String(length)}`;
}

/** Returns the eight groups of an IPv6 address. `URL` turns every spelling, even `::1.2.3.4`, into that of RFC 5952. */
function groupsOf(address: string): number[] {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail = ''] = canonical.split('::');
  const before = parseGroups(head);
  const after = parseGroups(tail);
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function parseGroups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

/** Precision with which a browser's IP address may be stored and shown to its owner. */
export type PlaceDetail = 'none' | 'block' | 'address';

/**
 * Reduces an address to the allowed precision: nothing, its block ({@link addressBlock}), or the whole address.
 * @param address an IP address, or the block of one
 */
export function clientPlace(address: string, detail: PlaceDetail): string | undefined {
  if (detail === 'none' || isIP(address.replace(/\/\d+$/, '')) === 0) return undefined;
  return detail === 'block' ? addressBlock(address) : address;
}
