import { equalInConstantTime, hmacSha256 } from '../lib/hash.ts';
import type { Random } from '../lib/random.ts';

/**
 * Returns the stored form of a client secret: `salt.hash`. Client secrets are long and random, so a fast keyed hash is
 * enough. A slow one would let anybody keep the token endpoint busy with wrong secrets.
 */
export function hashClientSecret(secret: string, random: Random): string {
  const salt = random.bytes(16).toString('base64url');
  return `${salt}.${hmacSha256(salt, secret)}`;
}

/** Tells in constant time whether `secret` is the one that was hashed. */
export function isClientSecret(hash: string, secret: string): boolean {
  const [salt, expected] = hash.split('.');
  if (salt === undefined || expected === undefined) return false;
  return equalInConstantTime(hmacSha256(salt, secret), expected);
}
