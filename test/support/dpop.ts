import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';

/** Somebody who holds a key, and the tokens that are bound to it (RFC 9449). */
export interface Holder {
  readonly key: CryptoKey;
  readonly jwk: JWK;
}

export async function newHolder(): Promise<Holder> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  return { key: privateKey, jwk: await exportJWK(publicKey) };
}

/** @param claims what the proof is for: `htm` and `htu`, `ath` beside an access token */
export function proof({ key, jwk }: Holder, claims: Record<string, string>): Promise<string> {
  return new SignJWT({ jti: randomUUID(), ...claims })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
    .setIssuedAt()
    .sign(key);
}
