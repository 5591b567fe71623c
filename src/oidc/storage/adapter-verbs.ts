import type { Adapter, KoaContextWithOIDC } from 'oidc-provider';
import { requestStart } from '../../http/request-facts.ts';
import type { Clock } from '../../lib/clock.ts';

/**
 * Verbs that a model does not use. Reaching one means that the engine asks for something that this server does not
 * support.
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
 * Returns the start of the request that writes a record; the present for pages, which write outside the engine's
 * requests.
 */
export function startOf(context: KoaContextWithOIDC | undefined, clock: Clock): number {
  return context === undefined ? clock.now() : requestStart(context);
}
