import { isIP } from 'node:net';
import { addressBlock } from './address-block.ts';

/** Precision with which a browser's IP address may be stored and shown to its owner. */
export type PlaceDetail = 'none' | 'block' | 'address';

/**
 * Reduces an address to the allowed precision: nothing, its block ({@link addressBlock}), or the whole address. @param
 * address an IP address, or a block made from one
 */
export function clientPlace(address: string, detail: PlaceDetail): string | undefined {
  if (detail === 'none' || isIP(address.replace(/\/\d+$/, '')) === 0) return undefined;
  return detail === 'block' ? addressBlock(address) : address;
}
