import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import type { ClientConfig } from '../../src/config/schema.ts';
import type { AuthorizationRequest } from './flows.ts';

type PublicKey = NonNullable<ClientConfig['jwks']>['keys'][number];

/** A key of a client's own, and what the client registers of it. */
export interface ClientKey {
  readonly privateKey: CryptoKey;
  readonly jwks: { keys: PublicKey[] };
}

export async function clientKey(alg = 'ES256'): Promise<ClientKey> {
  const pair = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: `of-the-client-${alg}`, use: 'sig', alg } satisfies JWK;
  return { privateKey: pair.privateKey, jwks: { keys: [jwk as PublicKey] } };
}

export interface SignedRequestOptions {
  readonly key: Parameters<SignJWT['sign']>[0];
  readonly issuer: string;
  /** Go over the request's own parameters and the usual claims; `undefined` leaves one out. */
  readonly claims?: Record<string, unknown>;
  readonly header?: Record<string, unknown>;
}

/** A request's parameters as its client signs them (RFC 9101 §4). */
export function requestObject(request: AuthorizationRequest, options: SignedRequestOptions): Promise<string> {
  const { key, issuer, claims = {}, header = {} } = options;
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({
    ...Object.fromEntries(new URL(request.url).searchParams),
    iss: request.clientId,
    aud: issuer,
    nbf: now,
    exp: now + 300,
    ...claims,
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'oauth-authz-req+jwt', ...header })
    .sign(key);
}

/** The request as the browser carries it: signed, and nothing beside it but what RFC 9101 §5 asks for. */
export function withRequestObject(
  request: AuthorizationRequest,
  object: string,
  beside: Record<string, string> = {},
): AuthorizationRequest {
  const url = new URL('/authorize', request.url);
  url.search = new URLSearchParams({ client_id: request.clientId, request: object, ...beside }).toString();
  return { ...request, url: url.href };
}
