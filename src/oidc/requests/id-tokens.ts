import { decodeProtectedHeader } from 'jose';
import { errors, type Client, type Provider, type KoaContextWithOIDC } from 'oidc-provider';
import type { RingSnapshot } from '../../keys/ring.ts';
import { isIdToken } from './issued-jwt.ts';

type Validate = Provider['IdToken']['validate'];

/**
 * Validates an ID token hint (OpenID Connect Core §3.1.2.1, RP-Initiated Logout 1.0 §2). The engine would accept any
 * JWT with the issuer, audience, subject and key of an ID token. It would refuse an ID token that was signed before the
 * client's algorithm changed.
 */
export function validateHint(
  engine: Validate,
  { provider, ring }: { provider: Provider; ring: Pick<RingSnapshot, 'published'> },
): Validate {
  const algorithms = new Set(ring.published.map(({ alg }) => alg));
  return async (token, client) => {
    const alg = algorithmOf(token);
    const signer = algorithms.has(alg) ? { clientId: client.clientId, idTokenSignedResponseAlg: alg } : client;
    const hint = await engine.call(provider.IdToken, token, signer as Client);
    if (!isIdToken(hint)) throw new errors.InvalidRequest('the hint must be an ID token');
    return hint;
  };
}

/** @returns undefined for an unreadable token, which the engine refuses */
function algorithmOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).alg;
  } catch {
    return undefined;
  }
}

/**
 * Omits the nonce from refreshed ID tokens (OpenID Connect Core §12.2), because it binds an ID token to one
 * authorization request. The engine would repeat the nonce of the sign-in.
 */
export function setUnlessNonce(engine: IdToken['set']) {
  return function set(this: IdToken, name: string, value: unknown): void {
    // A logout token can be made outside a request, without a context.
    const { route, params } = (this.ctx as KoaContextWithOIDC | undefined)?.oidc ?? {};
    const isRefresh = route === 'token' && params?.['grant_type'] === 'refresh_token';
    if (!(isRefresh && name === 'nonce')) engine.call(this, name, value);
  };
}

type IdToken = Provider['IdToken']['prototype'];
