import { createHmac, hash, timingSafeEqual } from 'node:crypto';

/** Returns the SHA-256 hash as 43 characters of base64url. */
export function sha256(text: string): string {
  return hash('sha256', text, 'base64url');
}

/** Returns the HMAC-SHA-256 as 43 characters of base64url. */
export function hmacSha256(key: string | Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url');
}

/** Compares two texts in a time that reveals only whether their lengths are equal. */
export function equalInConstantTime(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
