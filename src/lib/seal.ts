import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import type { Random } from './random.ts';

const ALGORITHM = 'aes-256-gcm';
const IV = 12;
const TAG = 16;

/**
 * Encrypts under a key that only the holder of `secret` can derive. The store alone thus reveals no record of a token,
 * a code or an interaction.
 * @returns base64url of IV, tag and ciphertext
 */
export function seal(secret: string, plaintext: string, random: Random): string {
  const iv = random.bytes(IV);
  const cipher = createCipheriv(ALGORITHM, keyFrom(secret), iv);
  const body = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url');
}

/** Decrypts a sealed text. @throws if it was sealed under another secret, or was changed */
export function unseal(secret: string, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64url');
  const decipher = createDecipheriv(ALGORITHM, keyFrom(secret), bytes.subarray(0, IV), { authTagLength: TAG });
  decipher.setAuthTag(bytes.subarray(IV, IV + TAG));
  return Buffer.concat([decipher.update(bytes.subarray(IV + TAG)), decipher.final()]).toString('utf8');
}

/**
 * Derives the key. The secrets have 256 random bits, so one HMAC is as good as a key derivation function. Node sets up
 * a cipher three times as fast with a key object as with bytes.
 */
function keyFrom(secret: string): KeyObject {
  return createSecretKey(createHmac('sha256', secret).update('latchkey seal').digest());
}
