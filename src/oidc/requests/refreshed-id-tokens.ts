import type { KoaContextWithOIDC, Provider } from 'oidc-provider';

/**
 * Leaves the nonce out of ID tokens that a refresh gives (OpenID Connect Core §12.2): it ties an ID token to one
 * authorization request, and there is none. The engine repeats that of the sign-in.
 */
export function setUnlessNonce(engine: IdToken['set']) {
  return function set(this: IdToken, name: string, value: unknown): void {
    // A logout token is made outside of a request.
    const { route, params } = (this.ctx as KoaContextWithOIDC | undefined)?.oidc ?? {};
    const isRefresh = route === 'token' && params?.['grant_type'] === 'refresh_token';
    if (!(isRefresh && name === 'nonce')) engine.call(this, name, value);
  };
}

type IdToken = Provider['IdToken']['prototype'];
