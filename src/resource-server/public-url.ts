/**
 * Normalises a URL and drops its query and fragment, to compare it with a proof's `htu` (RFC 3986 §6.2.2 and §6.2.3,
 * RFC 9449 §4.3).
 * @returns undefined if it is not an http URL
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
 * Returns the normalised URL of a request: the public prefix and the request target. The target must be a path
 * (origin-form, RFC 9112 §3.2.1) that stays below the prefix, because an absolute URL or `*` would extend the prefix's
 * host. A second `/` at the start, `\`, `#` and line breaks are refused too, because parsers and routers read them
 * differently.
 * @returns undefined for any other target
 */
export function requestUrl(prefix: string, target: string): string | undefined {
  if (!/^\/(?!\/)[\x21\x22\x24-\x5B\x5D-\x7E\x80-\uFFFF]*$/.test(target)) return undefined;
  const url = normalised(prefix + target);
  return url?.startsWith(normalised(`${prefix}/`) ?? '\0') === true ? url : undefined;
}

/**
 * Returns the URL prefix of all requests: `publicUrl`, or else the origin of the audience. The prefix never comes from
 * `Host` or `X-Forwarded-*`, which an attacker who replays a proof can set.
 * @returns undefined if there is no `publicUrl` and the audience is not an http URL
 * @throws TypeError if `publicUrl` is not an http URL
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
