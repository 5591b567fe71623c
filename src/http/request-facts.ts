import type { X509Certificate } from 'node:crypto';
import type { Context } from 'koa';

type Carrier = Pick<Context, 'state'>;

/** Facts of every request. */
interface Numbered {
  /** The request's number in the log and on error pages. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

/** Facts about a request that this server accepted. */
export interface Admitted {
  /** The client's IP address, found behind trusted proxies. */
  readonly address: string;
  /** The requested host and port, in lower case and without the default port. */
  readonly host: string;
  /** The certificate whose key the caller holds. */
  readonly certificate: X509Certificate | undefined;
}

interface Facts {
  numbered: Numbered;
  admitted: Admitted;
}

/** The middleware of `host/` that records each kind of fact. */
const RECORDED_BY: Readonly<Record<keyof Facts, string>> = { numbered: 'numberRequests', admitted: 'admitRequests' };

export function recordNumber(context: Carrier, numbered: Numbered): void {
  context.state['numbered' satisfies keyof Facts] = numbered;
}

export function recordAdmission(context: Carrier, admitted: Admitted): void {
  context.state['admitted' satisfies keyof Facts] = admitted;
}

export function requestId(context: Carrier): string {
  return recorded(context, 'numbered').id;
}

/** Returns the start of this request in milliseconds since the epoch. */
export function requestStart(context: Carrier): number {
  return recorded(context, 'numbered').startedAt;
}

/** Returns the client's IP address, found behind trusted proxies. */
export function clientAddress(context: Carrier): string {
  return recorded(context, 'admitted').address;
}

/** Returns the host and port that the client requested. In the headers, admission has replaced them by the issuer's. */
export function calledHost(context: Carrier): string {
  return recorded(context, 'admitted').host;
}

/** Returns the certificate whose key the caller holds (RFC 8705), even if a trusted proxy forwarded it. */
export function clientCertificate(context: Carrier): X509Certificate | undefined {
  return recorded(context, 'admitted').certificate;
}

/** @throws if the recording middleware has not run. Otherwise a limit by address would count all callers as one. */
function recorded<Name extends keyof Facts>({ state }: Carrier, name: Name): Facts[Name] {
  const facts = state[name] as Facts[Name] | undefined;
  if (facts === undefined) throw new Error(`${RECORDED_BY[name]} must run before a fact of this request is read`);
  return facts;
}
