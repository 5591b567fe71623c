import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** The assigned part of the global unicast addresses (RFC 4291 §2.4). It excludes translated IPv4 addresses. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Tells whether a resolved address is on the public internet: not on this machine or its networks, and no multicast,
 * tunnel or reserved address (RFC 6890 and the IANA special-purpose registries).
 */
export function isPublicAddress(text: string): boolean {
  if (isIP(text) === 0) return false;
  const address = ipaddr.parse(text);
  if (address.range() !== 'unicast') return false;
  return address.kind() === 'ipv4' || address.match(GLOBAL_UNICAST);
}
