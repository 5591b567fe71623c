import { createRemoteJWKSet, errors } from 'jose';
import type { JWTVerifyGetKey } from 'jose';
import { IssuerUnavailable } from './errors.ts';

export interface IssuerKeysOptions {
  issuer: string;
  jwksUri: string | undefined;
  /** Seconds. */
  cooldown: number;
  /** Seconds. */
  timeout: number;
  /** Seconds. */
  maxAge: number;
}

/**
 * Finds the key that a token names among those its issuer publishes. The key set is fetched and kept for a time, so that a
 * key which its issuer took back is soon refused; a `kid` that is not in it has it fetched again, at most once per cooldown, so that made-up `kid`s cannot be turned into load on the issuer.
 * @throws IssuerUnavailable, or jose's error when the set is there and holds no such key.
 */
export function issuerKeys(options: IssuerKeysOptions): JWTVerifyGetKey {
  let keySet: Promise<JWTVerifyGetKey> | undefined;

  // Opened by the first token, not at start: an API must be able to start before its issuer does. A failure is not kept.
  function open(): Promise<JWTVerifyGetKey> {
    keySet ??= openKeySet(options).catch((error: unknown) => {
      keySet = undefined;
      throw error;
    });
    return keySet;
  }

  return async (header, token) => {
    try {
      const getKey = await open();
      return await getKey(header, token);
    } catch (error) {
      throw isAboutTheToken(error) ? error : new IssuerUnavailable({ cause: error });
    }
  };
}

async function openKeySet({ issuer, jwksUri, cooldown, timeout, maxAge }: IssuerKeysOptions): Promise<JWTVerifyGetKey> {
  const url = jwksUri === undefined ? await discoverJwksUri(issuer, timeout) : new URL(jwksUri);
  return createRemoteJWKSet(url, {
    cooldownDuration: cooldown * 1000,
    timeoutDuration: timeout * 1000,
    cacheMaxAge: maxAge * 1000,
  });
}

function isAboutTheToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}

async function discoverJwksUri(issuer: string, timeout: number): Promise<URL> {
  for (const url of metadataUrls(issuer)) {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeout * 1000) });
    if (response.ok) return jwksUriOf(await response.json(), issuer);
    await response.body?.cancel();
  }
  throw new Error(`${issuer} publishes no metadata`);
}

/** RFC 8414 §3.1 puts the issuer's path behind the well-known part, OpenID Connect Discovery §4 before it. */
function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
}

function jwksUriOf(metadata: unknown, issuer: string): URL {
  if (typeof metadata !== 'object' || metadata === null) throw new Error('The metadata is not an object');
  // RFC 8414 §3.3: metadata that names another issuer must not be used.
  if (!('issuer' in metadata) || metadata.issuer !== issuer) throw new Error('The metadata is of another issuer');
  if (!('jwks_uri' in metadata) || typeof metadata.jwks_uri !== 'string')
    throw new Error('The metadata lacks jwks_uri');
  const url = new URL(metadata.jwks_uri);
  if (new URL(issuer).protocol === 'https:' && url.protocol !== 'https:') throw new Error('jwks_uri is not https');
  return url;
}
