import type { AccessToken, Client, ClientCredentials, KoaContextWithOIDC, UnknownObject } from 'oidc-provider';
import { policyOf } from '../clients/client-metadata.ts';
import type { AccountOf } from './request-account.ts';

const claimsOf = new WeakMap<object, UnknownObject>();

/** Has an access token say this, and nothing else beyond the engine's claims: for grants that know it better. */
export function sayInToken(token: AccessToken, claims: UnknownObject): void {
  claimsOf.set(token, claims);
}

/**
 * What an access token says beyond the engine's claims: the person's roles, and how and when they signed in
 * (RFC 9068 §2.2.1, §2.2.3.1), and under which grant, so that it can be seen whether that still holds when the token
 * comes back to be exchanged. An API may let a role alone do things, so an app of somebody else's gets the roles only
 * where the person allowed it.
 */
export async function accessTokenClaims(
  context: KoaContextWithOIDC,
  token: AccessToken | ClientCredentials,
  accountOf: AccountOf,
): Promise<UnknownObject | undefined> {
  const given = claimsOf.get(token);
  if (given !== undefined) return given;
  if (token.kind !== 'AccessToken') return mayAct(context.oidc.client);
  const source = sourceOf(context);
  const account = await accountOf(context, token.accountId);
  return defined({
    roles: showsRoles(context, source) ? account?.roles : undefined,
    acr: source?.acr,
    amr: source?.amr,
    auth_time: source?.authTime,
    sid: source?.sid,
    // The record of an opaque token has it anyway.
    grant_id: token.aud === undefined || token.grantId === '' ? undefined : token.grantId,
    ...mayAct(context.oidc.client),
  });
}

interface Source {
  scopes: Set<string>;
  acr?: string | undefined;
  amr?: string[] | undefined;
  authTime?: number | undefined;
  sid?: string | undefined;
}

/** Where it is said how the person signed in; for a token that goes to the browser, that is the session itself. */
function sourceOf({ oidc }: KoaContextWithOIDC): Source | undefined {
  const { RotatedRefreshToken, AuthorizationCode, DeviceCode, BackchannelAuthenticationRequest } = oidc.entities;
  const source = RotatedRefreshToken ?? AuthorizationCode ?? DeviceCode ?? BackchannelAuthenticationRequest;
  const { client, session } = oidc;
  if (source !== undefined || client === undefined || session?.accountId === undefined) return source;
  const { acr, amr } = session;
  const [authTime, sid] = [session.authTime(), session.sidFor(client.clientId)];
  return { acr, amr, authTime, sid, scopes: oidc.requestParamScopes };
}

function showsRoles({ oidc: { client, grant } }: KoaContextWithOIDC, source: Source | undefined): boolean {
  // Other software on a device can pass for an app of the house there (RFC 8252 §8.6).
  if (client?.applicationType === 'web' && policyOf(client).firstParty) return true;
  const isGranted = grant?.getOIDCScopeFiltered(new Set(['roles'])) === 'roles';
  return isGranted && source?.scopes.has('roles') === true;
}

/** RFC 8693 §4.4: who may act with a token of this client. */
export function mayAct(client: Client | undefined): UnknownObject {
  const actor = client && policyOf(client).mayAct;
  return actor === undefined ? {} : { may_act: { sub: actor } };
}

export function defined(claims: UnknownObject): UnknownObject {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}
