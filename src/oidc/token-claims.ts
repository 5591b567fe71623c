import type { AccessToken, ClientCredentials, KoaContextWithOIDC, UnknownObject } from 'oidc-provider';
import type { AccountOf } from './request-account.ts';

/**
 * What an access token says beyond the engine's claims: the person's roles, and how and when they signed in
 * (RFC 9068 §2.2.1, §2.2.3.1).
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
    roles: account?.roles,
    acr: source?.acr,
    amr: source?.amr,
    auth_time: source?.authTime,
    sid: source?.sid,
  });
}

function defined(claims: UnknownObject): UnknownObject {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}
