import { decodeJwt } from 'jose';
import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import { policyOf } from '../clients/client-metadata.ts';

type Oidc = KoaContextWithOIDC['oidc'];

/** Endpoints that an assertion may name as its audience, if the client needs that (RFC 9126 §2, CIBA Core 1.0 §7.1). */
const ENDPOINTS = ['token', 'pushed_authorization_request', 'backchannel_authentication'];

/**
 * Requires that a client assertion is for this issuer and nobody else, because another server could forward it
 * (draft-ietf-oauth-rfc7523bis §4). The engine would accept any of its addresses, even in a list with others.
 */
export function expectedAudience(this: Oidc): Set<string> {
  const { client, issuer, params } = this;
  const takesEndpoint = client !== undefined && policyOf(client).endpointAudience;
  const aud = unverifiedClaims(String(params?.['client_assertion']))?.['aud'];
  const accepted = new Set([issuer, ...(takesEndpoint ? endpoints(this) : [])]);
  const isMeant = takesEndpoint ? [aud].flat().every((one) => accepted.has(String(one))) : aud === issuer;
  if (isMeant) return accepted;
  const taken = takesEndpoint ? [...accepted].join(' or ') : `${issuer}, as a text and nothing else`;
  const why = `the audience (aud) of the client assertion must be ${taken}`;
  throw Object.assign(new errors.InvalidClientAuth(why), { error_description: why });
}

function endpoints(oidc: Oidc): string[] {
  return [...new Set([...ENDPOINTS, oidc.route])].map((name) => oidc.urlFor(name));
}

/** @returns undefined if it is no JWT; the engine refuses that */
export function unverifiedClaims(jwt: string): Record<string, unknown> | undefined {
  try {
    return decodeJwt(jwt);
  } catch {
    return undefined;
  }
}
