/** An origin, or the scheme of an app (RFC 8252 §7.1), of characters that end neither a source nor a directive. */
const SOURCE = /^(https?:\/\/(\[[\da-f:.]+\]|[a-z\d._-]+)(:\d+)?|[a-z][a-z\d+.-]*:)$/;

/**
 * The policy of every page: this server's style sheet, script and images, nothing inline, and no frame around it.
 * @param formTargets where its forms may end up, redirects included; `undefined` leaves that open and allows no script
 * file, for the engine's pages that post to a client's redirect URI
 * @param frames origins that the page may load in frames
 */
export function contentSecurityPolicy(formTargets?: readonly string[], frames: readonly string[] = []): string {
  const policy = [
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self'",
    // Without a source it allows nothing. The engine adds the hashes of the inline scripts on its pages.
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

/** No address may write into the policy: one that is no plain source gets no place in it. */
function sources(addresses: readonly string[]): string[] {
  return [...new Set(addresses)].filter((address) => SOURCE.test(address));
}
