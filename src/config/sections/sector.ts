import { CIBA_GRANT, DEVICE_GRANT } from './client-schema.ts';
import type { Fault } from '../problems.ts';
import { isLoopback, isPrivateUse } from '../rules.ts';
import type { ClientConfig } from '../schema.ts';

type Sectored = Pick<
  ClientConfig,
  'subject_type' | 'sector_identifier_uri' | 'redirect_uris' | 'jwks_uri' | 'grant_types'
>;

/**
 * Returns the sector of a client with pairwise subjects (OpenID Connect Core §8.1): the host of its sector identifier,
 * else of its redirect URIs, else of its keys (CIBA Core §4). @returns undefined for public subjects
 */
export function sectorOf(client: Sectored): string | undefined {
  if (client.subject_type !== 'pairwise') return undefined;
  const [uri = client.jwks_uri] = client.redirect_uris;
  const named = client.sector_identifier_uri ?? uri;
  return named === undefined ? undefined : new URL(named).hostname;
}

/** Requires that a client with pairwise subjects has an unambiguous sector; paths start at the client. */
export function sectorIsKnown(client: ClientConfig): Fault[] {
  if (client.subject_type !== 'pairwise') return [];
  const isRemote = client.grant_types?.some((name) => name === CIBA_GRANT || name === DEVICE_GRANT) === true;
  const faults = isRemote ? keysAreNamed(client) : [];
  const reason = client.sector_identifier_uri === undefined ? whyNoSector(client, isRemote) : undefined;
  if (reason === undefined) return faults;
  const message = `is required for pairwise subjects: ${reason}`;
  return [...faults, { path: ['sector_identifier_uri'], message }];
}

const KEYED: readonly string[] = ['private_key_jwt', 'self_signed_tls_client_auth'];

/**
 * Requires a `jwks_uri`, and authentication with its keys, for a client of devices or CIBA with pairwise subjects
 * (OpenID Connect CIBA Core 1.0 §4).
 */
function keysAreNamed({ jwks_uri: uri, token_endpoint_auth_method: method }: ClientConfig): Fault[] {
  const why = 'for pairwise subjects of devices and CIBA';
  return [
    ...(uri === undefined ? [{ path: ['jwks_uri'], message: `is required ${why}` }] : []),
    ...(KEYED.includes(method ?? '')
      ? []
      : [{ path: ['token_endpoint_auth_method'], message: `must be ${KEYED.join(' or ')} ${why}` }]),
  ];
}

/** Explains why a client's redirect URIs do not determine its sector. @returns undefined if they do */
function whyNoSector({ redirect_uris: redirects }: ClientConfig, isRemote: boolean): string | undefined {
  if (isRemote) return redirects.length > 0 ? 'the client has redirect_uris in addition to its keys' : undefined;
  if (redirects.length === 0) return 'the client has no redirect_uris';
  if (redirects.some((uri) => isPrivateUse(uri) || isLoopback(new URL(uri).hostname)))
    return 'redirect_uris on a device could belong to any app';
  const isOne = new Set(redirects.map((uri) => new URL(uri).host)).size === 1;
  return isOne ? undefined : 'redirect_uris have several hosts';
}
