import { errors, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify, type JWTVerifyResult } from 'jose';
import { toAccessToken, type AccessToken } from './access-token.ts';
import { AccessRefused, InvalidToken, IssuerUnavailable, type TokenFault } from './errors.ts';
import type { Settings } from './settings.ts';

/**
 * Creates a function that verifies a token's signature and claims (RFC 9068 §4). The function throws InvalidToken or
 * IssuerUnavailable.
 */
export function signedTokens(settings: Settings, keys: JWTVerifyGetKey): (token: string) => Promise<AccessToken> {
  const { issuer, audience, algorithms, types, clockTolerance, currentDate } = settings;
  const checks: JWTVerifyOptions = {
    algorithms: [...algorithms],
    ...(!types.includes('jwt') && { typ: 'at+jwt' }),
    issuer,
    audience,
    clockTolerance,
    requiredClaims: ['exp', 'iat'],
  };
  return async (token) => {
    const options = { ...checks, currentDate: currentDate() };
    try {
      const { payload, protectedHeader } = await verifyJwt(token, keys, options);
      if (!types.includes(typeOf(protectedHeader))) throw new InvalidToken('type');
      return toAccessToken(payload);
    } catch (error) {
      if (error instanceof AccessRefused) throw error;
      if (error instanceof errors.JOSEError) throw new InvalidToken(faultOf(error), { cause: error });
      // The runtime refuses the published key, such as an RSA key that is too short.
      throw new IssuerUnavailable({ cause: error });
    }
  };
}

/** Normalises a `typ`: lower case, without `application/` (RFC 7515 §4.1.9). */
function typeOf({ typ = 'jwt' }: { typ?: string }): string {
  return typ.toLowerCase().replace(/^application\//, '');
}

const CLAIM_FAULTS = new Map<string, TokenFault>([
  ['typ', 'type'],
  ['iss', 'issuer'],
  ['aud', 'audience'],
  ['nbf', 'not_yet_valid'],
]);

function faultOf(error: errors.JOSEError): TokenFault {
  if (error instanceof errors.JWTExpired) return 'expired';
  if (error instanceof errors.JWTClaimValidationFailed) return CLAIM_FAULTS.get(error.claim) ?? 'claims';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'algorithm';
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return 'unknown_key';
  }
  return 'malformed';
}

/**
 * Verifies a JWT with `jose`, and refuses every header extension. `jose` alone would accept `b64`, which changes the
 * signed content and must not be used in a JWT (RFC 7515 §4.1.11, RFC 7797 §7).
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
