import type { Adapter, KoaContextWithOIDC } from 'oidc-provider';
import { requestStart } from '../../http/request-facts.ts';
import type { Clock } from '../../lib/clock.ts';

/**
 * Methods that fail, for adapters whose model does not use them. A call means that the engine asks for something that
 * this server does not support.
 */
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

/**
 * Returns the start of the engine's request that writes a record. Pages write outside the engine's requests, so for
 * them it is the current time.
 */
export function startOf(context: KoaContextWithOIDC | undefined, clock: Clock): number {
  return context === undefined ? clock.now() : requestStart(context);
}
