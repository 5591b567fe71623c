import type { KoaContextWithOIDC } from 'oidc-provider';
import { bringsToken } from '../../http/token-challenge.ts';

type Called = KoaContextWithOIDC['oidc'] & { ctx: KoaContextWithOIDC };

/** Treats a header of another scheme as no token (RFC 6750 §3.1); the engine would call the request malformed. */
export function unlessOtherScheme(getAccessToken: (this: Called, options?: object) => string) {
  return function getAccessTokenByScheme(this: Called, ...options: [object?]): string {
    const { headers } = this.ctx;
    if (!bringsToken(headers.authorization)) delete headers.authorization;
    return getAccessToken.call(this, ...options);
  };
}
