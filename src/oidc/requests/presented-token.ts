import type { KoaContextWithOIDC } from 'oidc-provider';
import { bringsToken } from '../../http/token-challenge.ts';

type Called = KoaContextWithOIDC['oidc'] & { ctx: KoaContextWithOIDC };

/** Takes a header of another scheme for no token at all (RFC 6750 §3.1); the engine takes it for a malformed request. */
export function unlessOtherScheme(getAccessToken: (this: Called, options?: object) => string) {
  return function getAccessTokenByScheme(this: Called, ...options: [object?]): string {
    const { headers } = this.ctx;
    if (!bringsToken(headers.authorization)) delete headers.authorization;
    return getAccessToken.call(this, ...options);
  };
}
