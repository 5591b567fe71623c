import { errors, jwtVerify } from 'jose';
import type { JWTPayload, JWTVerifyOptions } from 'jose';
import { toAccessToken } from './access-token.ts';
import type { AccessToken } from './access-token.ts';
import { AccessRefused, InvalidToken } from './errors.ts';
import type { TokenFault } from './errors.ts';
import { issuerKeys } from './issuer-keys.ts';

export interface VerifierOptions {
  /** The issuer identifier, character by character as in its metadata. */
  issuer: string;
  /** This API's resource identifier: what `aud` must hold. */
  audience: string;
  /** Signature algorithms that are accepted; asymmetric ones only. Default: ES256 and RS256. */
  algorithms?: readonly string[];
  /** Where the keys are. Default: what the issuer's metadata says. */
  jwksUri?: string;
  /** How far the clocks of issuer and API may differ, in seconds. Default: 5. */
  clockTolerance?: number;
  /** How long, in seconds, the keys are kept. A key that the issuer revokes is refused after that. Default: 300. */
  maxAge?: number;
  /** How long, in seconds, an unknown `kid` does not have the keys fetched again. Default: 30. */
  cooldown?: number;
  /** How long, in seconds, the issuer may take to answer. Default: 5. */
  timeout?: number;
  /** The time by which tokens expire. Default: the machine's. */
  currentDate?: () => Date;
}

export interface Verifier {
  readonly audience: string;
  /** @throws InvalidToken, IssuerUnavailable */
  verify(token: string): Promise<AccessToken>;
}

const ASYMMETRIC = /^(?:(?:ES|RS|PS)(?:256|384|512)|EdDSA|Ed25519|ML-DSA-(?:44|65|87))$/;

/**
 * Verifies JWT access tokens as RFC 9068 §4 says, by the keys that their issuer publishes.
 * @throws TypeError when an option cannot be right.
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { issuer, audience, algorithms = ['ES256', 'RS256'], clockTolerance = 5, currentDate } = options;
  new URL(issuer);
  if (audience === '') throw new TypeError('audience must not be empty');
  const refused = algorithms.find((algorithm) => !ASYMMETRIC.test(algorithm));
  if (refused !== undefined) throw new TypeError(`${refused} is not an asymmetric signature algorithm`);

  const keys = issuerKeys({
    issuer,
    jwksUri: options.jwksUri,
    cooldown: options.cooldown ?? 30,
    timeout: options.timeout ?? 5,
    maxAge: options.maxAge ?? 300,
  });
  const checks: JWTVerifyOptions = {
    algorithms: [...algorithms],
    typ: 'at+jwt',
    issuer,
    audience,
    clockTolerance,
    requiredClaims: ['exp', 'iat'],
  };

  return {
    audience,
    async verify(token) {
      try {
        const now = currentDate === undefined ? {} : { currentDate: currentDate() };
        const { payload } = await jwtVerify(token, keys, { ...checks, ...now });
        return acceptedAsBearer(payload);
      } catch (error) {
        if (error instanceof AccessRefused || !(error instanceof errors.JOSEError)) throw error;
        throw new InvalidToken(faultOf(error), { cause: error });
      }
    },
  };
}

function acceptedAsBearer(payload: JWTPayload): AccessToken {
  // RFC 9449 §7.2: a token bound to a key proves nothing without that key, and a thief would present it exactly so.
  if (payload['cnf'] !== undefined) throw new InvalidToken('sender_constrained');
  return toAccessToken(payload);
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
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return 'unknown_key';
  return 'malformed';
}
