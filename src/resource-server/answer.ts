import type { Scheme } from './api-request.ts';
import type { AccessRefused } from './errors.ts';

/** An HTTP response in a form that every framework can send. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** JSON text, or an empty text. */
  readonly body: string;
}

export interface Challenges {
  realm: string;
  /** The authentication schemes that this API accepts. */
  schemes: readonly Scheme[];
  dpopAlgorithms: readonly string[];
  /** URL of this API's metadata (RFC 9728 §5.1). */
  resourceMetadata: string | undefined;
}

/** Builds the response to a refused request (RFC 6750 §3, RFC 9449 §7.1 and §9, RFC 9470 §3, RFC 9728 §5.1). */
export function refusalAnswer(error: AccessRefused, used: Scheme | undefined, challenges: Challenges): Answer {
  const headers: Record<string, string | string[]> = { 'Cache-Control': 'no-store' };
  if (error.status === 503) headers['Retry-After'] = '5';
  else headers['WWW-Authenticate'] = challengesOf(error, used, challenges);
  // RFC 6750 §3.1: the response to a request without a token has no error code.
  if (error.code === undefined) return { status: error.status, headers, body: '' };
  headers['Content-Type'] = 'application/json';
  const body = JSON.stringify({ error: error.code, error_description: error.message });
  return { status: error.status, headers, body };
}

/**
 * Builds the challenges: one for each accepted scheme if the status is 401, otherwise one for the scheme that the
 * request used. Only the challenge of the used scheme (by default the first accepted one) contains the error.
 */
function challengesOf(error: AccessRefused, used: Scheme | undefined, challenges: Challenges): string[] {
  const { realm, schemes, dpopAlgorithms, resourceMetadata } = challenges;
  const challenged = used ?? schemes[0];
  return schemes
    .filter((scheme) => scheme === challenged || error.status === 401)
    .map((scheme) => {
      const parameters = {
        realm,
        ...(scheme === challenged &&
          error.code !== undefined && { error: error.code, error_description: error.message }),
        ...(scheme === challenged && error.parameters),
        ...(scheme === 'DPoP' && { algs: dpopAlgorithms.join(' ') }),
        ...(resourceMetadata !== undefined && { resource_metadata: resourceMetadata }),
      };
      const texts = Object.entries(parameters).map(([name, value]) => `${name}=${quoted(value)}`);
      return `${scheme} ${texts.join(', ')}`;
    });
}

function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}
