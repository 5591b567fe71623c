import { sha256 } from '../lib/hash.ts';

/** Returns a strong validator of a body (RFC 9110 §8.8.3). */
export function etagOf(body: string): string {
  return `"${sha256(body).slice(0, 22)}"`;
}

/** RFC 9110 §13.1.2: weak comparison, any of the list, or `*`. */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}
