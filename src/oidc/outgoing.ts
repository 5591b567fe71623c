/**
 * The engine's requests to addresses that clients registered, for back-channel logout. Its own dispatcher refuses
 * private and loopback addresses; hosts on the operator's list are let through.
 * @param allow `HOST` for any port, or `HOST:PORT`
 */
export function outgoingFetch(allow: readonly string[]): typeof fetch {
  const allowed = new Set(allow.map((host) => host.toLowerCase()));
  return (url, options) => {
    const { hostname, port, protocol } = new URL(url instanceof Request ? url.url : url);
    const withPort = `${hostname}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`;
    if (!allowed.has(hostname) && !allowed.has(withPort)) return fetch(url, options);
    const { dispatcher: _guard, ...rest } = (options ?? {}) as RequestInit & { dispatcher?: unknown };
    return fetch(url, rest);
  };
}
