import { errors, jwtVerify } from 'jose';
import type { JWTVerifyGetKey, JWTVerifyOptions, JWTVerifyResult } from 'jose';

/**
 * Verifies a JWT by `jose`, and refuses the one extension that `jose` implements: `b64` changes what is signed, and has no
 * place in a JWT (RFC 7515 §4.1.11, RFC 7797 §7).
 * @throws jose's errors
 */
export async function verifyJwt(
  token: string,
  keys: JWTVerifyGetKey,
  options: JWTVerifyOptions,
): Promise<JWTVerifyResult> {
  const verified = await jwtVerify(token, keys, options);
  const { protectedHeader: header } = verified;
  if ('crit' in header || 'b64' in header) throw new errors.JWTInvalid('The header demands an extension');
  return verified;
}
