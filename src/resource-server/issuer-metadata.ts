import { fetchFromIssuer } from './issuer-fetch.ts';

/** The members of an issuer's metadata that the library uses (RFC 8414 §2). */
export interface IssuerMetadata {
  readonly jwksUri: URL;
  /** Event stream of revocations; undefined if the issuer has none. */
  readonly statusEvents: URL | undefined;
}

/** Fetches the issuer's metadata. @throws Error if there is none, or if it is invalid */
export async function fetchIssuerMetadata(issuer: string, timeout: number): Promise<IssuerMetadata> {
  for (const url of metadataUrls(issuer)) {
    const { status, body } = await fetchFromIssuer(url, { timeout, accept: 'application/json' });
    if (status === 200) return read(JSON.parse(body), issuer);
  }
  throw new Error(`${issuer} publishes no metadata`);
}

/**
 * Returns both possible addresses. RFC 8414 §3.1 puts the issuer's path after the well-known part, OpenID Connect
 * Discovery §4 before it.
 */
function metadataUrls(issuer: string): URL[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    new URL(`${origin}/.well-known/oauth-authorization-server${path}`),
    new URL(`${origin}${path}/.well-known/openid-configuration`),
  ];
}

function read(metadata: unknown, issuer: string): IssuerMetadata {
  if (typeof metadata !== 'object' || metadata === null) throw new Error('The metadata is not an object');
  // RFC 8414 §3.3: metadata that names another issuer must not be used.
  if (!('issuer' in metadata) || metadata.issuer !== issuer) throw new Error('The metadata names another issuer');
  if (!('jwks_uri' in metadata) || typeof metadata.jwks_uri !== 'string') {
    throw new Error('The metadata lacks jwks_uri');
  }
  const jwksUri = new URL(metadata.jwks_uri);
  if (new URL(issuer).protocol === 'https:' && jwksUri.protocol !== 'https:') throw new Error('jwks_uri is not https');
  const events = 'status_events_endpoint' in metadata ? metadata.status_events_endpoint : undefined;
  return { jwksUri, statusEvents: typeof events === 'string' ? urlOfIssuer(events, issuer) : undefined };
}

/** Parses a URL. Returns undefined if its origin is not the issuer's. */
export function urlOfIssuer(url: string, issuer: string): URL | undefined {
  if (!URL.canParse(url)) return undefined;
  const parsed = new URL(url);
  return parsed.origin === new URL(issuer).origin ? parsed : undefined;
}
