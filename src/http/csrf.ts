import { equalInConstantTime, hmacSha256 } from '../lib/hash.ts';

/** Tokens that prove that a form comes from a page of ours, shown to this very browser. */
export interface Csrf {
  /** @param binding a value that only this browser holds: its interaction or session */
  token(binding: string): string;
  verify(binding: string, token: string | undefined): boolean;
}

export function csrfTokens(key: Buffer): Csrf {
  const token = (binding: string): string => hmacSha256(key, binding);
  return { token, verify: (binding, given) => given !== undefined && equalInConstantTime(token(binding), given) };
}
