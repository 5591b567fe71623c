/**
 * Normalises a URL for comparison with a proof's `htu`: without query and fragment (RFC 3986 §6.2.2 and §6.2.3, RFC
 * 9449 §4.3). Undefined if it is no http URL.
 */
export function normalised(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, host, pathname } = new URL(url);
  if (protocol !== 'https:' && protocol !== 'http:') return undefined;
  return `${protocol}//${host}${pathname.replace(/%[0-9a-f]{2}/gi, plain)}`;
}

const UNRESERVED = /[A-Za-z0-9\-._~]/;

function plain(escaped: string): string {
  const character = String.fromCharCode(parseInt(escaped.slice(1), 16));
  return UNRESERVED.test(character) ? character : escaped.toUpperCase();
}

/**
 * The normalised URL of a request: its target after the public prefix. Only a path can be that (origin-form, RFC 9112 §3.2.1),
 * and one that stays below the prefix. An absolute URL, `*` or another host would be glued to the prefix's own host, and
 * a parser takes `\` for `/` and drops what it deems a fragment or a line break, while a router sees them.
 * @returns nothing for any other target
 */
export function requestUrl(prefix: string, target: string): string | undefined {
  if (!/^\/(?!\/)[\x21\x22\x24-\x5B\x5D-\x7E\x80-\uFFFF]*$/.test(target)) return undefined;
  const url = normalised(prefix + target);
  return url?.startsWith(normalised(`${prefix}/`) ?? '\0') === true ? url : undefined;
}

/**
 * Returns the part of every request's URL before the path: the configured one, or the origin of the audience; undefined
 * if neither is an http URL. It is never read from `Host` or `X-Forwarded-*`, which an attacker who replays a proof can
 * set.
 * @throws TypeError
 */
export function publicPrefix(publicUrl: string | undefined, audience: string): string | undefined {
  if (publicUrl === undefined) {
    return normalised(audience) === undefined ? undefined : new URL(audience).origin;
  }
  if (normalised(publicUrl) === undefined) throw new TypeError('publicUrl is not an http URL');
  const { origin, pathname } = new URL(publicUrl);
  let end = pathname.length;
  while (pathname[end - 1] === '/') end -= 1;
  return origin + pathname.slice(0, end);
}
