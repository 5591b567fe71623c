import type { Context } from 'koa';

/** Tells whether the `Authorization` header carries an access token (RFC 6750 §2.1, RFC 9449 §7.1). */
export function bringsToken(authorization: string | undefined): boolean {
  return /^(?:Bearer|DPoP)(?: |$)/i.test(authorization ?? '');
}

/**
 * Builds the challenge for a request whose token is not valid here. A request without a token, or with another scheme,
 * learns only that one is needed (RFC 6750 §3.1).
 */
export function tokenChallenge(context: Context): string {
  return bringsToken(context.headers.authorization) ? 'Bearer error="invalid_token"' : 'Bearer';
}
