import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { InvalidRequest, MissingToken } from './errors.ts';

/** A request as the library sees it, from any framework. */
export interface ApiRequest {
  readonly method: string;
  /** Path and query, as in the request line. */
  readonly target: string;
  /** Returns every value of a header, one for each time that it was sent. The name is in lower case. */
  headers(name: string): readonly string[];
  /** The client certificate of this TLS connection as DER; undefined without one. */
  certificate?(): Uint8Array | undefined;
}

/** @param target the original `request.url`, if a framework has changed it */
export function fromNode(request: IncomingMessage, target = request.url ?? ''): ApiRequest {
  return {
    method: request.method ?? '',
    target,
    headers: (name) => valuesOf(request.rawHeaders, name),
    certificate: () => peerCertificate(request.socket),
  };
}

// `headers` silently keeps the first of several values; it is unknown which one a proxy has checked.
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

// RFC 6750 §2.1 and RFC 9449 §7.1 with RFC 9110 §11.1: the scheme in any case, then one token68.
const CREDENTIALS = /^[a-z]+ +([A-Za-z0-9\-._~+/]+=*)$/i;

/**
 * Reads the token from the Authorization header, the only allowed place (RFC 6750 §2.1). A token in the query ends up
 * in logs and histories, so it is refused by name (RFC 9700 §4.3.2). @throws MissingToken, InvalidRequest
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

/** Returns the scheme of a request that may otherwise be malformed, for the challenge of its refusal. */
export function schemeOf(header: string, schemes: readonly Scheme[]): Scheme | undefined {
  const name = header.split(' ', 1)[0]?.toLowerCase();
  return schemes.find((scheme) => scheme.toLowerCase() === name);
}

function hasTokenInQuery(target: string): boolean {
  const start = target.indexOf('?');
  return start !== -1 && new URLSearchParams(target.slice(start)).has('access_token');
}
