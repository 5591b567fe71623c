import { isIP } from 'node:net';
import { addressBlock } from './address-block.ts';

/** Detail in which the address of a browser may be kept, and shown to the person whose browser it is. */
export type PlaceDetail = 'none' | 'block' | 'address';

/**
 * The place of a browser, as coarse as the operator allows: nothing, the block of its network ({@link addressBlock}), or
 * its address.
 * @param address an IP address, or a block that was made of one before
 */
export function clientPlace(address: string, detail: PlaceDetail): string | undefined {
  if (detail === 'none' || isIP(address.replace(/\/\d+$/, '')) === 0) return undefined;
  return detail === 'block' ? addressBlock(address) : address;
}
