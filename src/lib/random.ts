import { randomBytes } from 'node:crypto';

/** A source of unpredictable bytes. */
export interface Random {
  bytes(length: number): Buffer;
}

/** The operating system's generator. */
export const systemRandom: Random = { bytes: (length) => randomBytes(length) };

/** A bearer secret: 32 random bytes as 43 characters of base64url. */
export function secretToken(random: Random): string {
  return random.bytes(32).toString('base64url');
}
