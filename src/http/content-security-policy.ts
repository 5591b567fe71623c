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
