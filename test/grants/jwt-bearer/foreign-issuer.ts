import { createHmac, generateKeyPairSync, randomUUID, sign, type JsonWebKey, type KeyObject } from 'node:crypto';

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** In seconds since the epoch. */
export const now = (): number => Math.floor(Date.now() / 1000);

type Json = Record<string, unknown>;

/** Somebody who signs assertions, with nobody to stop them from signing nonsense. */
export interface ForeignIssuer {
  readonly issuer: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** As it is published. */
  readonly jwk: JsonWebKey & Json;
  /** A good assertion but for what is given; `undefined` leaves a claim or a member of the header out. */
  assertion(claims?: Json, header?: Json, key?: KeyObject): string;
  /** Signs whatever stands there: objects, or texts that should be JSON. */
  raw(header: Json | string, claims: Json | string, key?: KeyObject): string;
  header(header?: Json): Json;
  claims(claims?: Json): Json;
}

/** @param audience the server that its assertions are for */
export function foreignIssuer(issuer: string, audience: string, alg: 'ES256' | 'RS256' = 'ES256'): ForeignIssuer {
  const { privateKey, publicKey } = newKeys(alg);
  const kid = `${new URL(issuer).hostname}-${alg}`;
  const usualHeader = (header: Json = {}): Json => ({ alg, kid, typ: 'JWT', ...header });
  const usualClaims = (claims: Json = {}): Json => ({
    iss: issuer,
    sub: 'their-alice',
    aud: audience,
    jti: randomUUID(),
    iat: now(),
    exp: now() + 300,
    ...claims,
  });
  const raw = (header: Json | string, claims: Json | string, key = privateKey): string => {
    const signed = `${encode(header)}.${encode(claims)}`;
    return `${signed}.${signature(signed, key)}`;
  };
  return {
    issuer,
    privateKey,
    publicKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' },
    assertion: (claims, header, key) => raw(usualHeader(header), usualClaims(claims), key),
    raw,
    header: usualHeader,
    claims: usualClaims,
  };
}

export function newKeys(alg: 'ES256' | 'RS256'): { privateKey: KeyObject; publicKey: KeyObject } {
  return alg === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
}

export function encode(part: Json | string): string {
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
}

export function signature(text: string, key: KeyObject): string {
  if (key.type === 'secret') return createHmac('sha256', key).update(text).digest('base64url');
  return sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
}
