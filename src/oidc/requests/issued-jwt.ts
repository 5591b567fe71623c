import { createLocalJWKSet, errors, jwtVerify, type JWTVerifyOptions, type JWTVerifyResult } from 'jose';
import { z } from 'zod';
import type { RingSnapshot } from '../../keys/ring.ts';

/** A token's status claim (draft-ietf-oauth-status-list-20 §6.2). */
export const statusSchema = z.object({ status_list: z.object({ uri: z.string(), idx: z.int() }) });

/** Claims of this server's access tokens (RFC 9068 §2.2) that the server itself reads. */
const claimsSchema = z.looseObject({
  sub: z.string(),
  client_id: z.string(),
  aud: z.string(),
  jti: z.string(),
  iat: z.number(),
  exp: z.number(),
  scope: z.string().optional(),
  sid: z.string().optional(),
  grant_id: z.string().optional(),
  authorization_details: z.array(z.looseObject({ type: z.string() })).optional(),
  cnf: z.object({ jkt: z.string().optional(), 'x5t#S256': z.string().optional() }).optional(),
  status: statusSchema,
});

export type AccessTokenClaims = z.infer<typeof claimsSchema>;

/** Verifies a JWT as one that this server has signed. @throws errors.JOSEError */
export type VerifyOurs = (jwt: string, options: JWTVerifyOptions) => Promise<JWTVerifyResult>;

export function verifyOurs({ issuer, ring }: { issuer: string; ring: Pick<RingSnapshot, 'published'> }): VerifyOurs {
  const keys = createLocalJWKSet({ keys: [...ring.published] });
  const algorithms = ring.published.flatMap(({ alg }) => alg ?? []);
  return (jwt, options) => jwtVerify(jwt, keys, { ...options, issuer, algorithms });
}

/**
 * Verifies an access token of this server. Its type is `at+jwt` (RFC 9068 §2.1), or `JWT` for an API with that setting.
 * A token of type `JWT` must have both `client_id` and `status`, because none of this server's other JWTs has both.
 * @throws errors.JOSEError
 */
export async function verifyAccessToken(verify: VerifyOurs, jwt: string, options: JWTVerifyOptions = {}) {
  const { payload, protectedHeader } = await verify(jwt, options);
  const { typ } = protectedHeader;
  const isPlain = typ === 'JWT' && payload['client_id'] !== undefined && payload['status'] !== undefined;
  if (typ === 'at+jwt' || isPlain) return payload;
  throw new errors.JWTClaimValidationFailed('unexpected "typ" JWT header value', payload, 'typ', 'check_failed');
}

/**
 * Distinguishes an ID token from this server's other JWTs (RFC 8725 §3.12). A logout token has the same issuer,
 * audience, subject and key, and differs only in its type. An access token of type `JWT` has a `client_id`.
 */
export function isIdToken({ header, payload }: Record<'header' | 'payload', Record<string, unknown>>): boolean {
  const { typ = 'JWT' } = header;
  return typ === 'JWT' && payload['client_id'] === undefined;
}

/** @returns undefined if the token is not a valid access token of this server */
export async function readAccessToken(verify: VerifyOurs, token: string): Promise<AccessTokenClaims | undefined> {
  try {
    return claimsSchema.parse(await verifyAccessToken(verify, token));
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}
