import type { ApiRequest } from './api-request.ts';
import { InvalidRequest, MissingToken } from './errors.ts';

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
