/**
 * Target of a revocation. Times are in milliseconds since the epoch; without `before`, everything issued up to now is
 * revoked.
 */
export type RevocationTarget =
  | TokenTarget
  /** A person's grant to a client: its codes, refresh tokens and access tokens. */
  | { what: 'grant'; grant: string }
  /** The session's uid. Offline access (`offline_access`) survives its end. */
  | { what: 'session'; session: string }
  | { what: 'account'; account: string; before?: number; exceptSession?: string }
  /** The access tokens of an account; its grants stay, and apps get new access tokens. */
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
  /** A client revoked it (RFC 7009). */
  | 'token-revoked'
  | 'code-replayed'
  | 'refresh-token-replayed'
  /** The person signed out, here or from an app. */
  | 'signed-out'
  /** The owner ended it from another browser. */
  | 'session-ended'
  | 'password-changed'
  | 'factor-changed'
  | 'account-disabled'
  | 'account-deleted'
  /** The access tokens contain a role that was removed. */
  | 'role-removed'
  | 'consent-withdrawn'
  | 'client-disabled'
  | 'client-deleted'
  | 'client-secret-rolled'
  | 'trusted-issuer-removed'
  | 'key-revoked'
  /** The operator revoked everything issued before an instant, for an account, a client or everybody. */
  | 'ended-by-operator';

/**
 * Revokes something everywhere. It resolves once the revocation is complete in the store; after a rejection another
 * node continues. @param change runs once the revocation is stored and before anything ends, such as storing the new
 * password or removing the role. If it fails, or its process dies, everything issued until then still ends, because the
 * change may have been made.
 */
export type Revoke = (
  target: RevocationTarget,
  because: RevocationCause,
  change?: () => Promise<unknown>,
) => Promise<void>;

/** A finished revocation, with the owners that the target alone does not name. */
export interface Revoked {
  /** The same on every repeated call. */
  id: string;
  target: RevocationTarget;
  cause: RevocationCause;
  /** In milliseconds since the epoch. */
  at: number;
  account?: string;
  client?: string;
  /** True if another node completed it: the change behind it may be missing. */
  isBrokenOff?: true;
}
