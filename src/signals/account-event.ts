import { sha256 } from '../lib/hash.ts';
import type { Config } from '../config/schema.ts';
import type { SIGNALS } from '../config/sections/signals-schema.ts';

/** Last segment of an event type's URI. Receivers may request these types. */
type SignalName = (typeof SIGNALS)[number];
/** A client's permission to receive events. */
export type Reach = NonNullable<Config['clients'][number]['shared_signals']>;

const SCHEMAS = 'https://schemas.openid.net/secevent';

/** The URI of each event (CAEP 1.0 §3, RISC 1.0 §2). */
const URIS: Readonly<Record<SignalName, string>> = {
  'session-revoked': `${SCHEMAS}/caep/event-type/session-revoked`,
  'credential-change': `${SCHEMAS}/caep/event-type/credential-change`,
  'token-claims-change': `${SCHEMAS}/caep/event-type/token-claims-change`,
  'account-disabled': `${SCHEMAS}/risc/event-type/account-disabled`,
  'account-enabled': `${SCHEMAS}/risc/event-type/account-enabled`,
  'account-purged': `${SCHEMAS}/risc/event-type/account-purged`,
};

/**
 * Types of events about the stream itself, which receivers need not request (Shared Signals Framework 1.0 §8.1.4,
 * §8.1.5).
 */
export const VERIFICATION = `${SCHEMAS}/ssf/event-type/verification`;
export const STREAM_UPDATED = `${SCHEMAS}/ssf/event-type/stream-updated`;

export function uriOf(name: SignalName): string {
  return URIS[name];
}

/** Lists the event types that a client may receive, as URIs. */
export function eventsSupported({ events }: Reach): string[] {
  return events.map(uriOf);
}

/** An account event, which receivers may be told of. */
export type AccountEvent = {
  /** Identifies the event. Publishing the same event again changes nothing. */
  id: string;
  account: string;
  /** Time of the event, in milliseconds since the epoch. */
  at: number;
  /** The party that caused the event (CAEP 1.0 §2). */
  initiatedBy: 'admin' | 'user' | 'policy' | 'system';
  /** Reason for the receiver's administrators, in English. It names no person. */
  reason: string;
} & (
  | {
      type: 'session-revoked';
      /** The ended sessions, by the id that each client has for them. Absent if all sessions of the account ended. */
      sessions?: readonly { client: string; sid: string }[];
      /** Present if only the sessions with this client ended. */
      client?: string;
    }
  | {
      type: 'credential-change';
      /** The `credential_type` of CAEP 1.0 §3.3.1. */
      credential: string;
      change: 'create' | 'revoke' | 'update' | 'delete';
    }
  | { type: 'token-claims-change'; claims: Readonly<Record<string, unknown>> }
  | { type: 'account-disabled' | 'account-enabled' | 'account-purged' }
);

/** A subject identifier (RFC 9493 §3), or a complex one (Shared Signals Framework 1.0 §3.3). */
export type SubjectId =
  | { format: 'iss_sub'; iss: string; sub: string }
  | { format: 'opaque'; id: string }
  | { format: 'complex'; user: SubjectId; session: SubjectId };

/** An event that waits in a stream. It is signed each time that it is sent. */
export interface Signal {
  jti: string;
  /** Equal for all events that have the same cause. */
  txn?: string;
  /** Time of the event, in seconds since the epoch. */
  iat: number;
  subject: SubjectId;
  /** URI of the event type. */
  type: string;
  event: Readonly<Record<string, unknown>>;
}

/** Makes the events for one client: none, one, or one for each session. */
export function signalsFor(
  event: AccountEvent,
  { issuer, client, reach }: { issuer: string; client: string; reach: Reach },
): Omit<Signal, 'jti'>[] {
  const type = uriOf(event.type);
  const user: SubjectId = { format: 'iss_sub', iss: issuer, sub: event.account };
  const common = { txn: event.id, iat: Math.floor(event.at / 1000), type, event: eventOf(event) };
  if (event.type !== 'session-revoked') return [{ ...common, subject: user }];
  if (event.client !== undefined && event.client !== client) return [];
  if (event.sessions === undefined) return [{ ...common, subject: user }];
  // A client gets only its own session ids, unless it may receive the events of all accounts.
  const named = event.sessions.filter((session) => reach.accounts === 'all' || session.client === client);
  return [...new Set(named.map(({ sid }) => sid))].map((sid) => ({
    ...common,
    subject: { format: 'complex', user, session: { format: 'opaque', id: sid } },
  }));
}

/** Derives the event's `jti`. It is equal for the same event in the same stream, and sortable by time. */
export function nameOf(stream: string, { txn, iat, subject, type }: Omit<Signal, 'jti'>): string {
  return `${iat.toString(36)}-${sha256(JSON.stringify([stream, txn, type, subject]))}`;
}

function eventOf(event: AccountEvent): Record<string, unknown> {
  const { at, initiatedBy, reason } = event;
  const common = {
    event_timestamp: Math.floor(at / 1000),
    initiating_entity: initiatedBy,
    reason_admin: { en: reason },
  };
  switch (event.type) {
    case 'credential-change':
      return { ...common, credential_type: event.credential, change_type: event.change };
    case 'token-claims-change':
      return { ...common, claims: event.claims };
    case 'session-revoked':
      return common;
    case 'account-disabled':
    case 'account-enabled':
    case 'account-purged':
      // RISC 1.0 §2 defines no reason or time members for these three events.
      return {};
  }
}
