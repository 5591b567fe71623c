import type { IncomingMessage } from 'node:http';
import { InvalidRequest, MissingToken } from './errors.ts';

// RFC 6750 §2.1 with RFC 9110 §11.1: the scheme in any case, then one token68.
const CREDENTIALS = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i;

/**
 * The token of a request, from the only place where it may be: the Authorization header (RFC 6750 §2.1).
 * A token in the query ends up in logs and histories, so a client that sends one is told (RFC 9700 §4.3.2).
 * @throws MissingToken, InvalidRequest
 */
export function bearerToken(request: IncomingMessage): string {
  if (hasTokenInQuery(request.url ?? '')) {
    throw new InvalidRequest('The access token belongs in the Authorization header, not in the query');
  }
  // headers.authorization silently keeps the first of several; which one a proxy in front has looked at is unknown.
  const [header, ...others] = request.headersDistinct['authorization'] ?? [];
  if (others.length > 0) throw new InvalidRequest('There is more than one Authorization header');
  if (header === undefined || !/^bearer(?: |$)/i.test(header)) throw new MissingToken();
  const token = CREDENTIALS.exec(header)?.[1];
  if (token === undefined) throw new InvalidRequest('The Authorization header is malformed');
  return token;
}

function hasTokenInQuery(url: string): boolean {
  const start = url.indexOf('?');
  return start !== -1 && new URLSearchParams(url.slice(start)).has('access_token');
}
