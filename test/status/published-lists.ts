import assert from 'node:assert/strict';
import { inflateSync } from 'node:zlib';
import { createRemoteJWKSet, decodeJwt, jwtVerify, type JWTPayload } from 'jose';

/** Where a token says that it stands. */
export interface Place {
  idx: number;
  uri: string;
}

export function placeOf(token: unknown): Place {
  const { status } = decodeJwt<{ status?: { status_list: Place } }>(String(token));
  return status?.status_list ?? assert.fail('the token has no place in a list');
}

/** What an API does that knows nothing of this server but the draft: fetches the list, verifies it, and looks. */
export async function isRevoked({ idx, uri }: Place, from?: string): Promise<boolean> {
  const { bits } = await fetchList(uri, from);
  return (((bits[idx >>> 3] ?? assert.fail('the list is too short')) >>> (idx & 7)) & 1) === 1;
}

export interface FetchedList {
  response: Response;
  claims: JWTPayload;
  typ: string | undefined;
  alg: string | undefined;
  lst: string;
  bits: Buffer;
}

/** @param from the origin of another node */
export async function fetchList(uri: string, from = new URL(uri).origin): Promise<FetchedList> {
  const response = await fetch(new URL(new URL(uri).pathname, from));
  const token = await response.text();
  assert.equal(response.status, 200, token);
  const { origin } = new URL(uri);
  const keys = createRemoteJWKSet(new URL('/jwks', origin));
  const { payload, protectedHeader } = await jwtVerify(token, keys, { issuer: origin, subject: uri });
  const { bits, lst } = payload['status_list'] as { bits: number; lst: string };
  assert.equal(bits, 1);
  const { typ, alg } = protectedHeader;
  return { response, claims: payload, typ, alg, lst, bits: inflateSync(Buffer.from(lst, 'base64url')) };
}
