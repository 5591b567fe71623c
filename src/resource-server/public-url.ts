/**
 * The URL that a client called, for comparing with the `htu` of a proof: without query and fragment, normalised as RFC 3986
 * §6.2.2 and §6.2.3 say (RFC 9449 §4.3). Nothing for what is no http URL.
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
 * What stands before the path of every request. It is never read from `Host` or `X-Forwarded-*`, which whoever replays a
 * proof elsewhere could set: told by the API's owner, or the origin of its identifier. Nothing where neither is an http URL.
 * @throws TypeError
 */
export function publicPrefix(publicUrl: string | undefined, audience: string): string | undefined {
  if (publicUrl === undefined) {
    return normalised(audience) === undefined ? undefined : new URL(audience).origin;
  }
  if (normalised(publicUrl) === undefined) throw new TypeError('publicUrl is not an http URL');
  const { origin, pathname } = new URL(publicUrl);
  return origin + pathname.replace(/\/+$/, '');
}
