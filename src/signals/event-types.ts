import type { Config } from '../config/schema.ts';
import type { SIGNALS } from '../config/sections/signals-schema.ts';

/** Last part of the URI of an event type that receivers may request. */
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

/** Events about the stream, which need no request (Shared Signals Framework 1.0 §8.1.4, §8.1.5). */
export const VERIFICATION = `${SCHEMAS}/ssf/event-type/verification`;
export const STREAM_UPDATED = `${SCHEMAS}/ssf/event-type/stream-updated`;

export function uriOf(name: SignalName): string {
  return URIS[name];
}

/** Lists the event types that a client may receive, as URIs. */
export function eventsSupported({ events }: Reach): string[] {
  return events.map(uriOf);
}
