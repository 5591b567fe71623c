/**
 * The policy of every page: nothing but our style sheet and images, no frame around it, no script.
 * @param formTargets where its forms may end up, redirects included; `undefined` leaves that open, for the engine's
 * pages that post to a client's redirect URI
 */
export function contentSecurityPolicy(formTargets?: readonly string[]): string {
  const policy = [
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self' https:",
    // Without a source it allows nothing, and the engine adds the hashes of its own inline scripts.
    'script-src',
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ];
  if (formTargets !== undefined) policy.push(`form-action ${["'self'", ...formTargets].join(' ')}`);
  return policy.join(';');
}

/** A URL as a form-action source: its origin, or its scheme for an app's own scheme (RFC 8252 §7.1). */
export function formTarget(url: string): string {
  const { origin, protocol } = new URL(url);
  return origin === 'null' ? protocol : origin;
}
