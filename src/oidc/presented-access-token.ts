import type { Context } from 'koa';
import { errors, type ClientCredentials, type KoaContextWithOIDC, type Provider } from 'oidc-provider';
import { clientCertificate } from '../http/request-facts.ts';
import { bringsToken } from '../http/response-headers.ts';
import { keyProof, thumbprintOf } from './internals.ts';

/** An access token that a client presents at an endpoint of this server. */
interface ClientToken {
  readonly client: string;
  readonly scopes: ReadonlySet<string>;
}

const CREDENTIALS = /^(Bearer|DPoP) +([\w~+/.=-]+)$/i;

/**
 * Finds the request's token for a resource of this server, in the `Authorization` header alone (RFC 6750 §2.1).
 * @returns a challenge if the DPoP proof is invalid or must be repeated; undefined if no token is valid here
 */
export async function clientToken(
  provider: Provider,
  context: Context,
  audience: string,
): Promise<ClientToken | { challenge: string } | undefined> {
  const [, scheme = '', value = ''] = CREDENTIALS.exec(context.get('Authorization')) ?? [];
  const token = value === '' ? undefined : await provider.ClientCredentials.find(value);
  if (token?.clientId === undefined || token.aud !== audience) return undefined;
  const isBound = token.jkt !== undefined;
  if (isBound !== (scheme.toLowerCase() === 'dpop')) return undefined;
  try {
    const isPresentedByHolder = await isHeldBy(provider, context, { token, value, client: token.clientId });
    return isPresentedByHolder ? { client: token.clientId, scopes: token.scopes } : undefined;
  } catch (error) {
    if (!(error instanceof errors.OIDCProviderError)) throw error;
    return { challenge: `DPoP error="${error.error}"` };
  }
}

/** Tells whether the sender holds the key or certificate that the token is bound to (RFC 9449 §7.1, RFC 8705 §3). */
async function isHeldBy(
  provider: Provider,
  context: Context,
  { token, value, client }: { token: ClientCredentials; value: string; client: string },
): Promise<boolean> {
  const { jkt, 'x5t#S256': certificate } = token;
  if (certificate !== undefined && certificate !== thumbprintOf(clientCertificate(context))) return false;
  if (jkt === undefined) return true;
  return (
    (await keyProof(provider, context, { url: `${provider.issuer}${context.path}`, token: value, client })) === jkt
  );
}

type Called = KoaContextWithOIDC['oidc'] & { ctx: KoaContextWithOIDC };

/**
 * Treats an `Authorization` header of another scheme as a missing token (RFC 6750 §3.1). The engine would refuse the
 * request as malformed.
 */
export function unlessOtherScheme(getAccessToken: (this: Called, options?: object) => string) {
  return function getAccessTokenByScheme(this: Called, ...options: [object?]): string {
    const { headers } = this.ctx;
    if (!bringsToken(headers.authorization)) delete headers.authorization;
    return getAccessToken.call(this, ...options);
  };
}
