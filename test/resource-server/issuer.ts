import type { RequestListener } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { CryptoKey, JWK, JWTHeaderParameters, JWTPayload } from 'jose';
import { serve } from './serving.ts';

export const AUDIENCE = 'https://api.example';

interface IssuerKey {
  privateKey: CryptoKey;
  publicJwk: JWK;
}

/** A small issuer of its own, standing for any that an API may trust: metadata, a key set and signatures. */
export interface Issuer extends AsyncDisposable {
  readonly url: string;
  /** Paths of the requests received, in order. */
  readonly requests: string[];
  /** What `/jwks` publishes; change it to rotate. */
  readonly published: JWK[];
  /** The metadata document; change it to lie. */
  readonly metadata: Record<string, unknown>;
  readonly key: IssuerKey;
  /** What else it answers, by path. */
  readonly routes: Map<string, RequestListener>;
  /** When set, `/jwks` answers so. */
  failure: number | undefined;
  /** A good token of this issuer, except where the arguments say otherwise; `undefined` leaves a claim out. */
  token(claims?: JWTPayload, header?: Partial<JWTHeaderParameters>, key?: CryptoKey | Uint8Array): Promise<string>;
  close(): Promise<void>;
}

export async function newKey(kid: string, alg: 'ES256' | 'RS256' = 'ES256'): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export async function startIssuer(wellKnown = '/.well-known/oauth-authorization-server'): Promise<Issuer> {
  const key = await newKey('first');
  const published = [key.publicJwk];
  const requests: string[] = [];
  const metadata: Record<string, unknown> = {};
  const routes = new Map<string, RequestListener>();

  const { url, close } = await serve((request, response) => {
    requests.push(request.url ?? '');
    const route = routes.get(request.url ?? '');
    if (route !== undefined) {
      route(request, response);
      return;
    }
    response.setHeader('Content-Type', 'application/json');
    if (request.url === wellKnown) response.end(JSON.stringify(metadata));
    else if (request.url === '/jwks' && issuer.failure === undefined) response.end(JSON.stringify({ keys: published }));
    else response.writeHead(issuer.failure ?? 404).end('{}');
  });
  Object.assign(metadata, { issuer: url, jwks_uri: `${url}/jwks` });

  const issuer: Issuer = {
    url,
    requests,
    published,
    metadata,
    routes,
    key,
    failure: undefined,
    token: (claims = {}, header = {}, signingKey = key.privateKey) =>
      new SignJWT({ ...goodClaims(url), ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'first', ...header })
        .sign(signingKey),
    close,
    [Symbol.asyncDispose]: close,
  };
  return issuer;
}

/** The moment at which all these tests take place, in seconds since the Unix epoch. */
export const NOW = 1_800_000_000;
export const currentDate = (): Date => new Date(NOW * 1000);

function goodClaims(issuer: string): JWTPayload {
  return {
    iss: issuer,
    aud: AUDIENCE,
    sub: 'account-1',
    client_id: 'demo-notes',
    jti: 'token-1',
    iat: NOW,
    exp: NOW + 900,
    scope: 'openid notes:read',
    roles: ['user'],
  };
}
