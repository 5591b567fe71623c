import { addressBlock } from '../http/address-block.ts';
import { sha256 } from '../lib/hash.ts';
import type { Counter, Store } from '../storage/store.ts';
import { Refusal } from './refusal.ts';

const HOUR = 3600;
const registrations = (block: string): Counter => `registrations:${sha256(block)}`;

/** Counts a request to register. @throws Refusal for more than `most` in an hour from one address, or one network of IPv6 */
export async function limitAddress(grants: Store, address: string, most: number): Promise<void> {
  if ((await grants.increment(registrations(addressBlock(address)), 1, HOUR)) <= most) return;
  const headers = { 'Retry-After': String(HOUR) };
  throw new Refusal('temporarily_unavailable', 'too many registrations from this address: try again later', {
    headers,
  });
}
