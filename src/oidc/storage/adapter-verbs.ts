import type { Adapter, KoaContextWithOIDC } from 'oidc-provider';
import { requestStart } from '../../http/request-start.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Stored } from '../../storage/store.ts';

/** For how long what has ended is remembered, in seconds: until everything that was under way then is found through it. */
export const REMEMBERED = 3600;

/** Every verb that a model does not use. Reaching one means that the engine asks for something that is not wired. */
export const unsupported: Adapter = {
  upsert: refuse,
  find: refuse,
  findByUid: refuse,
  findByUserCode: refuse,
  consume: refuse,
  destroy: refuse,
  revokeByGrantId: refuse,
};

function refuse(): Promise<never> {
  return Promise.reject(new Error('the engine asked for a storage verb that this model does not have'));
}

/** The engine gives no lifetime to what it never lets expire. */
export function lifetime(ttl: number | undefined): { ttl?: number } {
  return ttl === undefined ? {} : { ttl: Math.max(1, ttl) };
}

/** For a write that leaves a record's end where it is. */
export function remainingLife({ expiresAt }: Stored<unknown>, clock: Clock): { ttl?: number } {
  return lifetime(expiresAt === undefined ? undefined : (expiresAt - clock.now()) / 1000);
}

/**
 * Returns the start of the request that writes a record; now for pages, which write outside of the engine's requests.
 */
export function startOf(context: KoaContextWithOIDC | undefined, clock: Clock): number {
  return context === undefined ? clock.now() : requestStart(context);
}
