import type { Context } from 'koa';
import { sha256 } from '../lib/hash.ts';

/** Matches an origin or a private-use scheme (RFC 8252 §7.1) without characters that end a source or a directive. */
const SOURCE = /^(https?:\/\/(\[[\da-f:.]+\]|[a-z\d._-]+)(:\d+)?|[a-z][a-z\d+.-]*:)$/;

/**
 * Builds a page's content security policy: this server's style sheet, script and images, no inline code, no framing.
 * @param formTargets addresses to which the page's forms may lead, including redirects. `undefined` allows any target
 * but no script file; it is for the engine's pages, which post to a redirect URI.
 * @param frames origins that the page may load in frames
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

/** Returns a URL's source for `form-action`: its origin, or only its scheme if that is private-use (RFC 8252 §7.1). */
export function formTarget(url: string): string {
  const { origin, protocol } = new URL(url);
  return origin === 'null' ? protocol : origin;
}

/** Drops every address that is not a plain source, so that no address can add directives to the policy. */
function sources(addresses: readonly string[]): string[] {
  return [...new Set(addresses)].filter((address) => SOURCE.test(address));
}

/** Returns a strong validator of a body (RFC 9110 §8.8.3). */
export function etagOf(body: string): string {
  return `"${sha256(body).slice(0, 22)}"`;
}

/** Tells whether a tag of the list matches by weak comparison, or the list is `*` (RFC 9110 §13.1.2). */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}

/**
 * Appends response parameters to a registered redirect URI. The URI's own query stays the same byte for byte (RFC 6749
 * §3.1.2), which the `URL` class does not guarantee.
 */
export function withParameters(uri: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined) as [string, string][];
  const added = new URLSearchParams(given).toString();
  // `URL` encodes only a URI with characters that a header cannot carry.
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
 * Builds the challenge for a request without a valid token. A client that sent no token, or used another scheme, learns
 * only that a token is needed (RFC 6750 §3.1).
 */
export function tokenChallenge(context: Context): string {
  return bringsToken(context.headers.authorization) ? 'Bearer error="invalid_token"' : 'Bearer';
}
