import type { AccessToken } from './access-token.ts';

const tokens = new WeakMap<object, AccessToken>();

export function remember(request: object, token: AccessToken): void {
  tokens.set(request, token);
}

/**
 * Returns the token that the guard accepted. @param request that of Express or Fastify, or the context of Koa @throws
 * Error if no guard has run
 */
export function accessTokenOf(request: object): AccessToken {
  const token = tokens.get(request);
  if (token === undefined) throw new Error('No guard has let this request pass');
  return token;
}
