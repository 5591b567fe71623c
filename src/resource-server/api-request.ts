import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';

/** A request as the library sees it, from any framework. */
export interface ApiRequest {
  readonly method: string;
  /** Path and query, as in the request line. */
  readonly target: string;
  /** Every value of a header, one for each time that it was sent. The name is in lower case. */
  headers(name: string): readonly string[];
  /** The certificate that the client showed on this TLS connection, as DER; nothing without one. */
  certificate?(): Uint8Array | undefined;
}

/** @param target where a framework has changed `request.url`, what it was */
export function fromNode(request: IncomingMessage, target = request.url ?? ''): ApiRequest {
  return {
    method: request.method ?? '',
    target,
    headers: (name) => valuesOf(request.rawHeaders, name),
    certificate: () => peerCertificate(request.socket),
  };
}

// `headers` silently keeps the first of several; which one a proxy in front has looked at is unknown.
function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}

function peerCertificate(socket: IncomingMessage['socket'] | TLSSocket): Uint8Array | undefined {
  if (!('getPeerX509Certificate' in socket)) return undefined;
  return socket.getPeerX509Certificate()?.raw;
}
