import type { KoaContextWithOIDC, Provider } from 'oidc-provider';

/**
 * Omits the nonce from refreshed ID tokens (OpenID Connect Core §12.2), because it binds an ID token to one
 * authorization request. The engine would repeat the nonce of the sign-in.
 */
export function setUnlessNonce(engine: IdToken['set']) {
  return function set(this: IdToken, name: string, value: unknown): void {
    // A logout token is made outside a request.
    const { route, params } = (this.ctx as KoaContextWithOIDC | undefined)?.oidc ?? {};
    const isRefresh = route === 'token' && params?.['grant_type'] === 'refresh_token';
    if (!(isRefresh && name === 'nonce')) engine.call(this, name, value);
  };
}

type IdToken = Provider['IdToken']['prototype'];
