import { blockShares, openBudget } from '../limits/budget.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../storage/store.ts';
import { Refusal } from './refusal.ts';

const HOUR = 3600;

/** Counts registration requests by address, and by the wider blocks that one subscriber may hold. */
export function registrationLimit({ grants, clock, most }: { grants: Store; clock: Clock; most: number }) {
  const budget = openBudget({ grants, clock, name: 'registrations', span: HOUR });
  /** @throws Refusal after `most` requests in an hour from one address */
  return async (address: string): Promise<void> => {
    if (await budget.spend(blockShares(address, most), 1)) return;
    const headers = { 'Retry-After': String(HOUR) };
    throw new Refusal('temporarily_unavailable', 'too many registrations from this address: try again later', {
      headers,
    });
  };
}
