/** Target of a revocation. Times are in milliseconds since the epoch; without `before`, everything up to now ends. */
export type RevocationTarget =
  | TokenTarget
  /** A person's grant to a client: its codes, refresh tokens and access tokens. */
  | { what: 'grant'; grant: string }
  /** By its uid. What an app may do while nobody is there (`offline_access`) stays. */
  | { what: 'session'; session: string }
  | { what: 'account'; account: string; before?: number; exceptSession?: string }
  /** The access tokens of an account alone: its apps go on, and get others. */
  | { what: 'access'; account: string }
  | { what: 'consent'; account: string; client: string }
  | { what: 'client'; client: string; before?: number }
  | { what: 'trusted-issuer'; issuer: string }
  | { what: 'key'; kid: string }
  | { what: 'everything'; before?: number };

/** One access token: the status reference of a JWT, or the record name of an opaque token. */
export interface TokenTarget {
  what: 'token';
  client: string;
  account?: string;
  token: { uri: string; idx: number } | { record: string };
}

export type RevocationCause =
  /** A client gave it back (RFC 7009). */
  | 'token-revoked'
  | 'code-replayed'
  | 'refresh-token-replayed'
  /** Here or from an app. */
  | 'signed-out'
  /** By its owner, from another place. */
  | 'session-ended'
  | 'password-changed'
  | 'factor-changed'
  | 'account-disabled'
  | 'account-deleted'
  /** Its access tokens say more than it may. */
  | 'role-removed'
  | 'consent-withdrawn'
  | 'client-disabled'
  | 'client-deleted'
  | 'client-secret-rolled'
  | 'trusted-issuer-removed'
  | 'key-revoked'
  /** Everything issued before an instant, for an account, a client or all. */
  | 'ended-by-operator';

/**
 * Revokes something everywhere. Settled, it is over in the store; a rejection means that a node goes on with it.
 * @param change made once the revocation is durable and before anything ends: the new password, the removed role. Where it
 *   fails, or its process dies, a node ends all the same what was issued until then, since the change may have been made
 */
export type Revoke = (
  target: RevocationTarget,
  because: RevocationCause,
  change?: () => Promise<unknown>,
) => Promise<void>;

/** A finished revocation, with the owners that the target alone does not name. */
export interface Revoked {
  /** The same however often it is told. */
  id: string;
  target: RevocationTarget;
  cause: RevocationCause;
  /** In milliseconds since the epoch. */
  at: number;
  account?: string;
  client?: string;
  /** Another node ended it: nobody knows if the change behind it was made. */
  isBrokenOff?: true;
}
