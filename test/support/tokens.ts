import { createRemoteJWKSet, jwtVerify, type JWTPayload, type JWTHeaderParameters } from 'jose';

export interface VerifiedToken {
  readonly header: JWTHeaderParameters;
  readonly claims: JWTPayload;
}

/** Verifies a token as its receiver would: with the keys at the issuer's `/jwks`. */
export async function verified(issuer: string, token: string | undefined, audience: string): Promise<VerifiedToken> {
  const keys = createRemoteJWKSet(new URL('/jwks', issuer));
  const { protectedHeader, payload } = await jwtVerify(token ?? '', keys, { issuer, audience });
  return { header: protectedHeader, claims: payload };
}

/** The demo's API, for which its clients get access tokens. */
export function apiOf(issuer: string): string {
  return `http://localhost:${Number(new URL(issuer).port) + 3}`;
}
