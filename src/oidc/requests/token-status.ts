import type { AccessToken, ClientCredentials, KoaContextWithOIDC, UnknownObject } from 'oidc-provider';
import { requestStart } from '../../http/request-start.ts';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import type { TokenStatus } from '../../status/status.ts';

const issuerOf = new WeakMap<object, string>();

/** Has an access token found by the trusted issuer that vouched for its subject. */
export function trustedBy(token: AccessToken | ClientCredentials, issuer: string): void {
  issuerOf.set(token, issuer);
}

/**
 * Gives a JWT access token its place in a status list (draft-ietf-oauth-status-list-20 §6.2), by which it can be taken back.
 * @throws StoreUnavailable: a token that could not be taken back is not given
 */
export async function statusClaim(
  context: KoaContextWithOIDC,
  token: AccessToken | ClientCredentials,
  { status, clock }: { status: Pick<TokenStatus, 'assign'>; clock: Clock },
): Promise<UnknownObject> {
  // One without an audience is opaque, and has a record.
  if (token.aud === undefined) return {};
  const place = await status.assign({
    clientId: token.clientId ?? '',
    ...(token.kind === 'AccessToken' && { accountId: token.accountId, grantId: token.grantId }),
    issuer: issuerOf.get(token),
    expiresAt: token.exp ?? epochSeconds(clock) + token.expiration,
    startedAt: requestStart(context),
  });
  return { status: { status_list: place } };
}
