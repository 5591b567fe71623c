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

/** Indexes an access token from a token exchange under the clients of the earlier tokens. */
export function exchangedFrom(token: Token, clients: readonly string[]): void {
  formerClientsOf.set(token, clients);
}

/**
 * Assigns a status index to a JWT access token, by which it can be revoked (draft-ietf-oauth-status-list-20 §6.2). The
 * engine signs the token while the store writes its index entries. @throws StoreUnavailable
 */
export async function statusClaim(
  context: KoaContextWithOIDC,
  token: Token,
  { status, clock }: { status: Pick<TokenStatus, 'assign'>; clock: Clock },
): Promise<UnknownObject> {
  // A token without an audience is opaque and has a record, so it needs no status index.
  if (token.aud === undefined) return {};
  const { reference, entered } = await status.assign({
    clientId: token.clientId ?? '',
    ...(token.kind === 'AccessToken' && { accountId: token.accountId, grantId: token.grantId }),
    issuer: issuerOf.get(token),
    formerClients: formerClientsOf.get(token),
    expiresAt: token.exp ?? epochSeconds(clock) + token.expiration,
    startedAt: requestStart(context),
  });
  // `saveEntered` gets the failure when it awaits this promise. Until then, the failure must not count as unhandled.
  entered.catch(() => undefined);
  entering.set(token, entered);
  return { status: { status_list: reference } };
}

/**
 * Delays each access token until revocations can find it. If its index entries cannot be written, the server does not
 * issue the token.
 */
export function saveEntered(engine: Token['save']) {
  return async function save(this: Token): Promise<string> {
    const value = await engine.call(this);
    await entering.get(this);
    return value;
  };
}
