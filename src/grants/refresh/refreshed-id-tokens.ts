import type { Provider } from 'oidc-provider';

/**
 * Leaves the nonce out of ID tokens that a refresh gives (OpenID Connect Core §12.2): it ties an ID token to one
 * authorization request, and there is none. The engine repeats that of the sign-in.
 */
export function leaveOutNonce({ IdToken: { prototype } }: Provider): void {
  const set = Reflect.get<IdToken, 'set'>(prototype, 'set');
  prototype.set = function setUnlessNonce(this: IdToken, name, value: unknown) {
    const { route, params } = this.ctx.oidc;
    const isRefresh = route === 'token' && params?.['grant_type'] === 'refresh_token';
    if (!(isRefresh && name === 'nonce')) set.call(this, name, value);
  };
}

type IdToken = Provider['IdToken']['prototype'];
