import { errors, type ClaimsParameter, type Client, type KoaContextWithOIDC } from 'oidc-provider';
import { scopeOfClaim } from '../../accounts/claims.ts';
import { refuseUnknownAcr } from './authentication-demands.ts';
import { policyOf } from '../clients/client-metadata.ts';

/** Requests whose person sees other pages, which show scopes only. */
export const SCOPES_ONLY: readonly string[] = ['device_authorization', 'backchannel_authentication'];

/**
 * OpenID Connect Core §5.5: single claims. Each belongs to a scope, and a client may request those of its own scopes.
 * Unknown names are left to the engine, which ignores them.
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

/** §5.5: each claim is null or an object, which the engine later assumes. */
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
