import type { Logger } from 'pino';
import type { RevocationCause, RevocationTarget } from './revocations.ts';

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
