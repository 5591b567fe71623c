import type { AccessToken, ClientCredentials, KoaContextWithOIDC, UnknownObject } from 'oidc-provider';
import { requestStart } from '../../http/request-facts.ts';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import type { TokenStatus } from '../../status/status.ts';

type Token = AccessToken | ClientCredentials;

const issuerOf = new WeakMap<Token, string>();
const formerClientsOf = new WeakMap<Token, readonly string[]>();
const entering = new WeakMap<Token, Promise<unknown>>();

/** Indexes the access token under the trusted issuer whose assertion it was issued for. */
export function trustedBy(token: Token, issuer: string): void {
  issuerOf.set(token, issuer);
}

/** Indexes an access token under the clients of the tokens that it was exchanged for. */
export function exchangedFrom(token: Token, clients: readonly string[]): void {
  formerClientsOf.set(token, clients);
}

/**
 * Assigns a JWT access token a status index (draft-ietf-oauth-status-list-20 §6.2), by which it can be revoked. The token is
 * signed while its index entries are written.
 * @throws StoreUnavailable
 */
export async function statusClaim(
  context: KoaContextWithOIDC,
  token: Token,
  { status, clock }: { status: Pick<TokenStatus, 'assign'>; clock: Clock },
): Promise<UnknownObject> {
  // A token without an audience is opaque, and has a record.
  if (token.aud === undefined) return {};
  const { reference, entered } = await status.assign({
    clientId: token.clientId ?? '',
    ...(token.kind === 'AccessToken' && { accountId: token.accountId, grantId: token.grantId }),
    issuer: issuerOf.get(token),
    formerClients: formerClientsOf.get(token),
    expiresAt: token.exp ?? epochSeconds(clock) + token.expiration,
    startedAt: requestStart(context),
  });
  // The awaiting caller gets the failure; until then the token is being signed.
  entered.catch(() => undefined);
  entering.set(token, entered);
  return { status: { status_list: reference } };
}

/**
 * Delays every access token until revocations can find it; if its index entries cannot be written, it is not issued.
 */
export function saveEntered(engine: Token['save']) {
  return async function save(this: Token): Promise<string> {
    const value = await engine.call(this);
    await entering.get(this);
    return value;
  };
}
