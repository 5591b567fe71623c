import type { Adapter } from 'oidc-provider';

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
