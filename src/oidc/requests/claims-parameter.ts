import { errors, type ClaimsParameter, type Client, type KoaContextWithOIDC } from 'oidc-provider';
import { scopeOfClaim } from '../../accounts/claims.ts';
import { refuseUnknownAcr } from './authentication-demands.ts';
import { policyOf } from '../clients/client-metadata.ts';

/** Routes of requests that a person confirms on a page that shows only scopes. */
export const SCOPES_ONLY: readonly string[] = ['device_authorization', 'backchannel_authentication'];

/**
 * Checks the `claims` parameter (OpenID Connect Core §5.5). Each claim belongs to a scope, and a client may request
 * claims only of scopes that it is registered for. The engine ignores unknown names.
 */
export function assertClaimsParameter({ oidc }: KoaContextWithOIDC, claims: ClaimsParameter, client: Client): void {
  if (SCOPES_ONLY.includes(oidc.route)) throw new errors.InvalidRequest('claims are asked for by scopes here');
  assertMembers(claims);
  refuseUnknownAcr(claims);
  for (const name of namesIn(claims)) {
    const scope = scopeOfClaim(name);
    if (scope !== undefined && !policyOf(client).scopes.includes(scope))
      throw new errors.InvalidRequest(`the client is not registered for the scope of the claim ${name}`);
  }
}

/** Requires each claim to be null or an object (§5.5). The engine assumes this without a check. */
function assertMembers({ id_token: idToken = {}, userinfo = {} }: ClaimsParameter): void {
  const members: unknown[] = [...Object.values(idToken), ...Object.values(userinfo)];
  if (members.every((member) => typeof member === 'object' && !Array.isArray(member))) return;
  throw new errors.InvalidRequest('each member of claims.id_token and claims.userinfo must be null or an object');
}

/** Lists the account claims that a request names. */
export function claimsAsked(parameter: unknown): string[] {
  if (typeof parameter !== 'string') return [];
  return namesIn(JSON.parse(parameter) as ClaimsParameter).filter((name) => scopeOfClaim(name) !== undefined);
}

function namesIn({ id_token: idToken, userinfo }: ClaimsParameter): string[] {
  return [...new Set([...Object.keys(idToken ?? {}), ...Object.keys(userinfo ?? {})])];
}
