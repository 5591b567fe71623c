import type { Clock } from '../lib/clock.ts';
import type { Stored } from '../storage/store.ts';

/** Seconds for which an ended record is remembered, until everything that was under way has been found through it. */
export const REMEMBERED = 3600;

/** The engine passes no lifetime for records that never expire. */
export function lifetime(ttl: number | undefined): { ttl?: number } {
  return ttl === undefined ? {} : { ttl: Math.max(1, ttl) };
}

/** Write options that keep a record's expiry. */
export function remainingLife({ expiresAt }: Stored<unknown>, clock: Clock): { ttl?: number } {
  return lifetime(expiresAt === undefined ? undefined : (expiresAt - clock.now()) / 1000);
}
