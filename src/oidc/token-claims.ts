import type { AccessToken, ClientCredentials, KoaContextWithOIDC, UnknownObject } from 'oidc-provider';
import { policyOf } from './client-metadata.ts';
import type { AccountOf } from './request-account.ts';

/**
 * What an access token says beyond the engine's claims: the person's roles, and how and when they signed in
 * (RFC 9068 §2.2.1, §2.2.3.1). An API may let a role alone do things, so an app of somebody else's gets the roles only
 * where the person allowed it.
 */
export async function accessTokenClaims(
  context: KoaContextWithOIDC,
  token: AccessToken | ClientCredentials,
  accountOf: AccountOf,
): Promise<UnknownObject | undefined> {
  if (token.kind !== 'AccessToken') return undefined;
  const source = context.oidc.entities.RotatedRefreshToken ?? context.oidc.entities.AuthorizationCode;
  const account = await accountOf(context, token.accountId);
  return defined({
    roles: showsRoles(context, source) ? account?.roles : undefined,
    acr: source?.acr,
    amr: source?.amr,
    auth_time: source?.authTime,
    sid: source?.sid,
  });
}

function showsRoles({ oidc: { client, grant } }: KoaContextWithOIDC, source?: { scopes: Set<string> }): boolean {
  // Other software on a device can pass for an app of the house there (RFC 8252 §8.6).
  if (client?.applicationType === 'web' && policyOf(client).firstParty) return true;
  const isGranted = grant?.getOIDCScopeFiltered(new Set(['roles'])) === 'roles';
  return isGranted && source?.scopes.has('roles') === true;
}

function defined(claims: UnknownObject): UnknownObject {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}
