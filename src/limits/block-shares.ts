import { addressBlocks } from '../http/address-block.ts';
import type { Share } from './budget.ts';

/** The factor by which each wider block may spend more: an IPv4 address or a /64, then a /56, then a /48. */
const WIDER = [1, 2, 4];

/** The shares that a request from an address spends from. `most` is that of an IPv4 address or of a /64. */
export function blockShares(address: string, most: number): Share[] {
  return addressBlocks(address).map((subject, index) => ({ subject, most: most * (WIDER[index] ?? 1) }));
}
