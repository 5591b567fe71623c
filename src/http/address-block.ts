import { isIPv6 } from 'node:net';

/**
 * What one subscriber holds of the address space: an IPv4 address, or the /64 of an IPv6 address (RFC 6177 §2), within
 * which anyone may pick new addresses at will. Text that is no address stands for itself.
 */
export function addressBlock(address: string): string {
  const bare = address.replace(/%.*$/s, '');
  if (!isIPv6(bare)) return bare;
  const groups = groupsOf(bare);
  const isMappedIPv4 = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMappedIPv4)
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 255])
      .join('.');
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

/** The eight numbers of a valid IPv6 address. `URL` writes every spelling, also `::1.2.3.4`, in the form of RFC 5952. */
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
