import type { Context } from 'koa';
import { sha256 } from '../lib/hash.ts';

/** Matches an origin or an app's scheme (RFC 8252 §7.1) without characters that end a source or a directive. */
const SOURCE = /^(https?:\/\/(\[[\da-f:.]+\]|[a-z\d._-]+)(:\d+)?|[a-z][a-z\d+.-]*:)$/;

/**
 * Builds a page's policy: this server's style sheet, script and images, no inline code, no framing. @param formTargets
 * where its forms may lead, redirects included; `undefined` allows any target but no script file, for the engine's
 * pages that post to a redirect URI @param frames origins that the page may load in frames
 */
export function contentSecurityPolicy(formTargets?: readonly string[], frames: readonly string[] = []): string {
  const policy = [
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self'",
    // An empty directive allows nothing. The engine adds the hashes of its pages' inline scripts.
    formTargets === undefined ? 'script-src' : "script-src 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ];
  if (formTargets !== undefined) policy.push(`form-action ${["'self'", ...sources(formTargets)].join(' ')}`);
  if (sources(frames).length > 0) policy.push(`frame-src ${sources(frames).join(' ')}`);
  return policy.join(';');
}

/** A URL as a form-action source: its origin, or its scheme for an app's own scheme (RFC 8252 §7.1). */
export function formTarget(url: string): string {
  const { origin, protocol } = new URL(url);
  return origin === 'null' ? protocol : origin;
}

/** Drops every address that is no plain source, so that none can inject into the policy. */
function sources(addresses: readonly string[]): string[] {
  return [...new Set(addresses)].filter((address) => SOURCE.test(address));
}

/** Returns a strong validator of a body (RFC 9110 §8.8.3). */
export function etagOf(body: string): string {
  return `"${sha256(body).slice(0, 22)}"`;
}

/** RFC 9110 §13.1.2: weak comparison, any of the list, or `*`. */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}

/**
 * Appends response parameters to a registered redirect URI. Its own query stays byte for byte (RFC 6749 §3.1.2), which
 * the URL class does not guarantee.
 */
export function withParameters(uri: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined) as [string, string][];
  const added = new URLSearchParams(given).toString();
  // Only the parts that are no valid header text are re-encoded.
  const own = /^[\x21-\x7E]+$/.test(uri) ? uri : new URL(uri).href;
  if (added === '') return own;
  if (!own.includes('?')) return `${own}?${added}`;
  return /[?&]$/.test(own) ? `${own}${added}` : `${own}&${added}`;
}

/** Tells whether the `Authorization` header carries an access token (RFC 6750 §2.1, RFC 9449 §7.1). */
export function bringsToken(authorization: string | undefined): boolean {
  return /^(?:Bearer|DPoP)(?: |$)/i.test(authorization ?? '');
}

/**
 * Builds the challenge for a request whose token is not valid here. A request without a token, or with another scheme,
 * learns only that one is needed (RFC 6750 §3.1).
 */
export function tokenChallenge(context: Context): string {
  return bringsToken(context.headers.authorization) ? 'Bearer error="invalid_token"' : 'Bearer';
}
