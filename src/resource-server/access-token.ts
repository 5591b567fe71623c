import type { JWTPayload } from 'jose';
import { InvalidToken } from './errors.ts';

/** A verified access token (RFC 9068 §2.2). */
export interface AccessToken {
  /** The subject: an account, or the client itself if no person is involved. */
  readonly sub: string;
  readonly clientId: string;
  readonly jti: string;
  /** Expiry in seconds since the Unix epoch. */
  readonly expiresAt: number;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  /** All claims of the token. */
  readonly claims: Readonly<JWTPayload>;
}

/**
 * Converts verified claims to an access token.
 * @throws InvalidToken if a claim that RFC 9068 §2.2 requires is missing, or if a claim has the wrong type
 */
export function toAccessToken(claims: JWTPayload): AccessToken {
  const { sub, jti, exp, client_id: clientId, scope = '', roles = [] } = claims;
  if (!isName(sub) || !isName(clientId) || !isName(jti)) throw new InvalidToken('claims');
  if (exp === undefined || typeof scope !== 'string' || !isListOfNames(roles)) throw new InvalidToken('claims');
  return { sub, clientId, jti, expiresAt: exp, scopes: scope.split(' ').filter(isName), roles, claims };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isListOfNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isName);
}

const tokens = new WeakMap<object, AccessToken>();

export function remember(request: object, token: AccessToken): void {
  tokens.set(request, token);
}

/**
 * Returns the token that the guard accepted.
 * @param request the request of Express or Fastify, or the context of Koa
 * @throws Error if no guard has accepted the request
 */
export function accessTokenOf(request: object): AccessToken {
  const token = tokens.get(request);
  if (token === undefined) throw new Error('No guard has accepted this request');
  return token;
}
