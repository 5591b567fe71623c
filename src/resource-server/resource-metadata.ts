import type { Answer } from './answer.ts';
import type { Scheme } from './api-request.ts';
import { normalised } from './public-url.ts';
import type { Settings } from './settings.ts';

/** An API's protected resource metadata (RFC 9728). */
export interface ResourceMetadata {
  /** Path and query at which the API serves the metadata. */
  readonly path: string;
  readonly url: string;
  readonly document: Readonly<Record<string, unknown>>;
}

/**
 * Builds an API's metadata. Returns undefined if the API's identifier is not an http URL, because RFC 9728 §3 defines
 * no metadata address for it.
 */
export function resourceMetadata(
  { issuer, audience, metadata }: Settings,
  schemes: readonly Scheme[],
  dpopAlgorithms: readonly string[],
): ResourceMetadata | undefined {
  if (normalised(audience) === undefined) return undefined;
  const { origin, pathname, search } = new URL(audience);
  const path = `/.well-known/oauth-protected-resource${pathname === '/' ? '' : pathname}${search}`;
  const document = {
    resource: audience,
    authorization_servers: [issuer],
    bearer_methods_supported: ['header'],
    ...(schemes.includes('DPoP') && { dpop_signing_alg_values_supported: dpopAlgorithms }),
    ...(!schemes.includes('Bearer') && { dpop_bound_access_tokens_required: true }),
    ...metadata,
  };
  return { path, url: origin + path, document };
}

/** Answers a request for the metadata. Returns undefined for any other request. */
export function metadataAnswer(
  { metadata }: { metadata: ResourceMetadata | undefined },
  method: string | undefined,
  target: string | undefined,
): Answer | undefined {
  const isAsked = (method === 'GET' || method === 'HEAD') && metadata?.path === target;
  return isAsked && metadata !== undefined ? describe(metadata) : undefined;
}

/** Any origin may read the metadata, because apps learn from it where to sign in. */
function describe({ document }: ResourceMetadata): Answer {
  const headers = {
    'Content-Type': 'application/json',
    'Cache-Control': 'public, max-age=300',
    'Access-Control-Allow-Origin': '*',
  };
  return { status: 200, headers, body: JSON.stringify(document) };
}
