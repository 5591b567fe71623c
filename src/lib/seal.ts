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
  return encrypt(keyFrom(secret), undefined, Buffer.from(plaintext), random);
}

/** Decrypts a sealed text. @throws if it was sealed under another secret, or was changed */
export function unseal(secret: string, sealed: string): string {
  return decrypt(keyFrom(secret), undefined, sealed).toString('utf8');
}

/**
 * Encrypts under a key for one context, such as the name of a record. The result opens in no other context, so nobody
 * can move it to another record.
 */
export function sealFor(context: string, key: KeyObject, plaintext: Buffer, random: Random): string {
  return encrypt(key, context, plaintext, random);
}

/** Decrypts what {@link sealFor} returned. @throws if the key or the context is another, or the text was changed */
export function openFor(context: string, key: KeyObject, sealed: string): Buffer {
  return decrypt(key, context, sealed);
}

function encrypt(key: KeyObject, context: string | undefined, plaintext: Buffer, random: Random): string {
  const iv = random.bytes(IV);
  const cipher = createCipheriv(ALGORITHM, key, iv);
  if (context !== undefined) cipher.setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url');
}

function decrypt(key: KeyObject, context: string | undefined, sealed: string): Buffer {
  const bytes = Buffer.from(sealed, 'base64url');
  const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, IV), { authTagLength: TAG });
  if (context !== undefined) decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(bytes.subarray(IV, IV + TAG));
  return Buffer.concat([decipher.update(bytes.subarray(IV + TAG)), decipher.final()]);
}

/**
 * Derives the key. The secrets have 256 random bits, so one HMAC is as good as a key derivation function. Node sets up
 * a cipher three times as fast with a key object as with bytes.
 */
function keyFrom(secret: string): KeyObject {
  return createSecretKey(createHmac('sha256', secret).update('latchkey seal').digest());
}
