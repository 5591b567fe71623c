import { addressBlocks } from '../http/address-block.ts';
import type { Share } from './budget.ts';

/** The factor by which each wider block may spend more: an IPv4 address or a /64, then a /56, then a /48. */
const WIDER = [1, 2, 4];

/** Returns the shares from which an address spends. `most` applies to an IPv4 address or a /64. */
export function blockShares(address: string, most: number): Share[] {
  return addressBlocks(address).map((subject, index) => ({ subject, most: most * (WIDER[index] ?? 1) }));
}
