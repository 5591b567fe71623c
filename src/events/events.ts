import type { Logger } from 'pino';

/**
 * Domain events, as one closed list. Reasons are for the operator and may contain details that no response may show. No
 * event carries a secret.
 */
export type BusinessEvent =
  | { type: 'account.signed-up'; account: string; address: string }
  | { type: 'account.signed-in'; account: string; client: string; address: string }
  | { type: 'sign-in.refused'; address: string }
  | { type: 'sign-in.delayed'; address: string; seconds: number }
  | { type: 'password.changed'; account: string; address: string }
  | { type: 'consent.given'; account: string; client: string }
  | { type: 'consent.denied'; account: string; client: string }
  | { type: 'device.allowed'; account: string; client: string; address: string }
  | { type: 'device.denied'; client: string; address: string }
  | { type: 'device.guessing-delayed'; address: string; seconds: number }
  | { type: 'client.guessing-delayed'; client: string; address: string; seconds: number }
  | { type: 'approval.given' | 'approval.denied'; account: string; client: string }
  | { type: 'approval.ping-failed'; client: string; reason: string }
  | RevokedEvent
  | TokenExchanged
  | { type: 'logout.delivered'; client: string; attempt: number }
  | { type: 'logout.undelivered'; client: string; attempt: number; reason: string; givenUp: boolean }
  | { type: 'assertion.accepted'; issuer: string; subject: string; client: string; account: string | undefined }
  | { type: 'client.registered'; client: string; name: string; address: string; invited: boolean; vouchedBy?: string }
  | { type: 'client.updated'; client: string; address: string }
  | { type: 'client.deleted'; client: string; address: string }
  | { type: 'registration.refused'; address: string; error: string; reason: string }
  | SignalsEvent
  | { type: 'keys.changed'; signing: readonly string[]; published: readonly string[] }
  | RequestRefused;

/** The target of a revocation, with its owner if known. */
type RevokedEvent = {
  type: 'revoked';
  /** The same in every log line about this revocation. */
  revocation: string;
  cause: RevocationCause;
  account?: string;
  client?: string;
  /**
   * True if the process that began it died, perhaps before it made the change. The operator must check and repeat the
   * change.
   */
  isBrokenOff?: true;
} & RevocationTarget;

interface TokenExchanged {
  type: 'token.exchanged';
  client: string;
  /** The subject of the tokens, and the client that the presented token was issued to. */
  subject: string;
  from: string;
  /** The acting parties, the latest first; empty for an impersonation. */
  actors: readonly string[];
  audience: string;
}

/** An event about a receiver's stream of shared signals. */
type SignalsEvent = { client: string; stream: string } & (
  | { type: 'signals.stream-created' | 'signals.stream-deleted' }
  | { type: 'signals.stream-changed'; status: string }
  | { type: 'signals.paused'; reason: string }
  | { type: 'signals.delivered'; jti: string }
  | { type: 'signals.undelivered'; jti: string; attempt: number; reason: string }
  | { type: 'signals.refused'; jti: string; reason: string }
);

interface RequestRefused {
  type: 'request.refused';
  /** The request number that an error page shows. */
  requestId: string;
  endpoint: string;
  client: string | undefined;
  error: string;
  reason: string;
}

/** Announces an event. One call writes it to every place that wants it. */
export type Announce = (event: BusinessEvent) => void;

/** Events that the operator should look into. Slowed guesses are none, because any stranger can cause them. */
const warnings: ReadonlySet<BusinessEvent['type']> = new Set([
  'approval.ping-failed',
  'logout.undelivered',
  'signals.paused',
  'signals.refused',
  'signals.undelivered',
]);

/**
 * Errors of normal operation. With `prompt=none` apps learn that the person must be asked (OpenID Connect Core
 * §3.1.2.6), and devices poll until the person has answered (RFC 8628 §3.5), both as often as they like.
 */
const expected: ReadonlySet<string> = new Set([
  ...['login_required', 'consent_required', 'interaction_required'],
  ...['authorization_pending', 'slow_down'],
]);

/** Causes that show a stolen code or token, because two parties used it. */
const replays: ReadonlySet<RevocationCause> = new Set(['code-replayed', 'refresh-token-replayed']);

function levelOf(event: BusinessEvent): 'debug' | 'info' | 'warn' {
  if (event.type === 'revoked' && (replays.has(event.cause) || event.isBrokenOff === true)) return 'warn';
  if (event.type === 'request.refused' && expected.has(event.error)) return 'debug';
  return warnings.has(event.type) ? 'warn' : 'info';
}

export function announceTo(log: Logger): Announce {
  return (event) => {
    const { type, ...facts } = event;
    log[levelOf(event)]({ event: type, ...facts }, type);
  };
}

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
