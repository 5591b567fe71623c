import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';

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
