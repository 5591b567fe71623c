import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { InvalidRequest, MissingToken } from './errors.ts';

/** A request in the form that the library reads, from any framework. */
export interface ApiRequest {
  readonly method: string;
  /** Path and query, as in the request line. */
  readonly target: string;
  /** Returns the values of a header, one for each time that it was sent. `name` must be in lower case. */
  headers(name: string): readonly string[];
  /** Returns the client certificate of this TLS connection as DER; undefined if there is none. */
  certificate?(): Uint8Array | undefined;
}

/** Converts a Node request. @param target the original `request.url`, if a framework has changed it */
export function fromNode(request: IncomingMessage, target = request.url ?? ''): ApiRequest {
  return {
    method: request.method ?? '',
    target,
    headers: (name) => valuesOf(request.rawHeaders, name),
    certificate: () => peerCertificate(request.socket),
  };
}

// Node's `headers` silently keeps only the first of several values, and a proxy may have checked another one.
function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}

function peerCertificate(socket: IncomingMessage['socket'] | TLSSocket): Uint8Array | undefined {
  if (!('getPeerX509Certificate' in socket)) return undefined;
  return socket.getPeerX509Certificate()?.raw;
}

export type Scheme = 'Bearer' | 'DPoP';

export interface Credentials {
  scheme: Scheme;
  token: string;
}

// The scheme in upper or lower case, then one token68 (RFC 6750 §2.1, RFC 9449 §7.1, RFC 9110 §11.1).
const CREDENTIALS = /^[a-z]+ +([A-Za-z0-9\-._~+/]+=*)$/i;

/**
 * Reads the token from the Authorization header, the only place where the API accepts it (RFC 6750 §2.1). A token in
 * the query is refused, because queries end up in logs and histories (RFC 9700 §4.3.2).
 * @throws MissingToken, InvalidRequest
 */
export function credentialsOf(request: ApiRequest, schemes: readonly Scheme[]): Credentials {
  if (hasTokenInQuery(request.target)) {
    throw new InvalidRequest('The access token belongs in the Authorization header, not in the query');
  }
  const [header, ...others] = request.headers('authorization');
  if (others.length > 0) throw new InvalidRequest('There is more than one Authorization header');
  const scheme = header === undefined ? undefined : schemeOf(header, schemes);
  if (header === undefined || scheme === undefined) throw new MissingToken();
  const token = CREDENTIALS.exec(header)?.[1];
  if (token === undefined) throw new InvalidRequest('The Authorization header is malformed');
  return { scheme, token };
}

/** Returns the accepted scheme that an Authorization header begins with, even if the rest is malformed. */
export function schemeOf(header: string, schemes: readonly Scheme[]): Scheme | undefined {
  const name = header.split(' ', 1)[0]?.toLowerCase();
  return schemes.find((scheme) => scheme.toLowerCase() === name);
}

function hasTokenInQuery(target: string): boolean {
  const start = target.indexOf('?');
  return start !== -1 && new URLSearchParams(target.slice(start)).has('access_token');
}
