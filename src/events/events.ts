import type { Logger } from 'pino';

/**
 * Closed list of the domain events. Reasons are for the operator, and may contain details that no response may show. No
 * event contains a secret.
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

/** A revocation, with the owner of its target if known. */
type RevokedEvent = {
  type: 'revoked';
  /** Id of the revocation, the same in every log line about it. */
  revocation: string;
  cause: RevocationCause;
  account?: string;
  client?: string;
  /**
   * True if the process that began the revocation died, perhaps before it made the change behind it. The operator must
   * check whether the change was made, and repeat it if not.
   */
  isBrokenOff?: true;
} & RevocationTarget;

interface TokenExchanged {
  type: 'token.exchanged';
  client: string;
  /** The subject of both tokens. */
  subject: string;
  /** The client to which the presented token was issued. */
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

/** Announces an event by one line of the log. */
export type Announce = (event: BusinessEvent) => void;

/** Events that the operator should look into. Delayed guesses are not among them: any stranger can cause those. */
const warnings: ReadonlySet<BusinessEvent['type']> = new Set([
  'approval.ping-failed',
  'logout.undelivered',
  'signals.paused',
  'signals.refused',
  'signals.undelivered',
]);

/**
 * Errors of normal operation, which can be frequent. Apps use `prompt=none` to learn whether the person must be asked
 * (OpenID Connect Core §3.1.2.6). Devices poll until the person has answered (RFC 8628 §3.5).
 */
const expected: ReadonlySet<string> = new Set([
  ...['login_required', 'consent_required', 'interaction_required'],
  ...['authorization_pending', 'slow_down'],
]);

/** Causes that point to a stolen code or token, because it was used twice. */
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
 * Target of a revocation. Times are in milliseconds since the epoch. If `before` is absent, everything issued up to now
 * is revoked.
 */
export type RevocationTarget =
  | TokenTarget
  /** A person's grant to a client: its codes, refresh tokens and access tokens. */
  | { what: 'grant'; grant: string }
  /** A session, by its uid. Offline access (`offline_access`) survives the end of the session. */
  | { what: 'session'; session: string }
  | { what: 'account'; account: string; before?: number; exceptSession?: string }
  /** The access tokens of an account. Its grants stay, so apps can get new access tokens. */
  | { what: 'access'; account: string }
  | { what: 'consent'; account: string; client: string }
  | { what: 'client'; client: string; before?: number }
  | { what: 'trusted-issuer'; issuer: string }
  | { what: 'key'; kid: string }
  | { what: 'everything'; before?: number };

/** One access token, named by the status reference of a JWT or by the record of an opaque token. */
export interface TokenTarget {
  what: 'token';
  client: string;
  account?: string;
  token: { uri: string; idx: number } | { record: string };
}

export type RevocationCause =
  /** A client revoked the token (RFC 7009). */
  | 'token-revoked'
  | 'code-replayed'
  | 'refresh-token-replayed'
  /** The person signed out, here or from an app. */
  | 'signed-out'
  /** The owner ended the session from another browser. */
  | 'session-ended'
  | 'password-changed'
  | 'factor-changed'
  | 'account-disabled'
  | 'account-deleted'
  /** The account lost a role, which its access tokens still contain. */
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
 * Revokes something everywhere. Resolves once the revocation is complete in the store. If it rejects, another node
 * continues the revocation.
 * @param change the change behind the revocation, such as storing a new password. It runs once the revocation is stored
 * and before anything is revoked. If it fails, or its process dies, everything issued until then is still revoked,
 * because the change may have been made.
 */
export type Revoke = (
  target: RevocationTarget,
  because: RevocationCause,
  change?: () => Promise<unknown>,
) => Promise<void>;

/** A finished revocation, with owners that the target itself does not name. */
export interface Revoked {
  /** Id of the revocation, the same in every repeated call. */
  id: string;
  target: RevocationTarget;
  cause: RevocationCause;
  /** Time of the revocation in milliseconds since the epoch. */
  at: number;
  account?: string;
  client?: string;
  /** True if another node completed the revocation. The change behind it may be missing. */
  isBrokenOff?: true;
}
