import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';
import type { SigningAlgorithm } from '../config/schema.ts';
import { sha256 } from '../lib/hash.ts';
import { secretToken, type Random } from '../lib/random.ts';
import type { FreshCookieKey, FreshKey } from './rotation.ts';

/**
 * RFC 7518 §3.3 asks for at least 2048 bits. With 3072 a signature costs twice the CPU and a token is 171 characters
 * longer, to protect a key that is replaced within weeks. For more strength, use ES256, the default.
 */
export const RSA_BITS = 2048;

/** Makes a key pair off the main thread. */
export async function newKey(alg: SigningAlgorithm): Promise<FreshKey> {
  const pair = await generateKeyPair(alg, { modulusLength: RSA_BITS, extractable: true });
  const key = await keyOf(alg, await exportJWK(pair.publicKey));
  return { ...key, privateJwk: { ...(await exportJWK(pair.privateKey)), ...marks(key) } };
}

/** Builds a key from its public half, named by its thumbprint (RFC 7638). */
export async function keyOf(alg: SigningAlgorithm, publicHalf: JWK): Promise<FreshKey> {
  const kid = await calculateJwkThumbprint(publicHalf);
  return { kid, alg, publicJwk: { ...publicHalf, ...marks({ kid, alg }) } };
}

/** The engine prefers keys with all three members, so it would never choose a key without one. */
function marks({ kid, alg }: Pick<FreshKey, 'kid' | 'alg'>): JWK {
  return { kid, alg, use: 'sig' };
}

export function newCookieKey(random: Random): FreshCookieKey {
  const secret = secretToken(random);
  return { kid: sha256(secret), secret };
}
