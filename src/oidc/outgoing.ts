/**
 * The engine's requests to addresses that clients registered (back-channel logout, `jwks_uri`). Its own dispatcher
 * refuses private and loopback addresses; hosts on the operator's list are let through.
 */
export function outgoingFetch(allow: readonly string[]): typeof fetch {
  const allowed = new Set(allow);
  return (url, options) => {
    const target = new URL(url instanceof Request ? url.url : url);
    if (!allowed.has(target.host) && !allowed.has(target.hostname)) return fetch(url, options);
    const { dispatcher: _guard, ...rest } = (options ?? {}) as RequestInit & { dispatcher?: unknown };
    return fetch(url, rest);
  };
}
