import { calculateJwkThumbprint, decodeProtectedHeader, EmbeddedJWK } from 'jose';
import type { JWTPayload } from 'jose';
import { sha256 } from './bytes.ts';
import { AccessRefused, InvalidProof, InvalidToken, NonceRequired, ReplaysUnavailable } from './errors.ts';
import type { Nonces } from './dpop-nonces.ts';
import type { ReplayStore } from './dpop-replays.ts';
import { normalised } from './public-url.ts';
import { verifyJwt } from './verify-jwt.ts';

export interface ProofRules {
  algorithms: readonly string[];
  /** Seconds that a proof's `iat` may be off, in either direction; where there are nonces, these tell its time. */
  window: number;
  /** Seconds by which the clocks of verifiers that share a memory of used proofs may differ from the right time. */
  clockTolerance: number;
  nonces: Nonces | undefined;
  replays: ReplayStore;
  /** Seconds since the Unix epoch. */
  now: () => number;
}

/** The request that a proof must match. */
export interface Proven {
  method: string;
  /** As `requestUrl` gives it: nothing where the request is for no path. */
  url: string | undefined;
  token: string;
  /** Thumbprint of the key that the token is bound to. */
  jkt: string;
}

/** The headers of a request leave room for the largest proofs that make sense, of ML-DSA-87. */
const MAX_LENGTH = 12_000;

/**
 * Checks a DPoP proof (RFC 9449 §4.3). The cheap checks come before the signature, so that only who has the token
 * has one verified.
 * @returns claims of the proof
 * @throws InvalidProof, InvalidToken, NonceRequired, ReplaysUnavailable
 */
export async function checkProof(proofs: readonly string[], proven: Proven, rules: ProofRules): Promise<JWTPayload> {
  const claims = await verifiedClaims(theOnly(proofs), proven.jkt, rules);
  await checkPurpose(claims, proven);
  if (rules.nonces === undefined) checkTime(claims, rules);
  else if (!(await rules.nonces.accepts(claims['nonce']))) throw new NonceRequired();
  const { jti } = claims;
  if (typeof jti !== 'string' || jti === '') throw new InvalidProof('The DPoP proof lacks its jti');
  if (!(await isFirstUse(proven.jkt, jti, rules))) throw new InvalidProof('The DPoP proof was used before');
  return claims;
}

/**
 * Remembered for twice the window: from the earliest moment at which the proof is accepted to the latest, which itself is
 * part of it. The first may be by a clock that is ahead, the last by one that is behind.
 */
async function isFirstUse(jkt: string, jti: string, rules: ProofRules): Promise<boolean> {
  const { replays, window, clockTolerance } = rules;
  try {
    return await replays.claim(jkt, await sha256(jti), 2 * (window + clockTolerance) + 1);
  } catch (cause) {
    throw cause instanceof AccessRefused ? cause : new ReplaysUnavailable({ cause });
  }
}

function theOnly([proof, ...others]: readonly string[]): string {
  if (proof === undefined) throw new InvalidProof('The DPoP header is missing');
  if (others.length > 0) throw new InvalidProof('There is more than one DPoP header');
  if (proof.length > MAX_LENGTH) throw new InvalidProof('The DPoP proof is too long');
  return proof;
}

async function checkPurpose({ htm, htu, ath }: JWTPayload, { method, url, token }: Proven): Promise<void> {
  if (htm !== method) throw new InvalidProof('The DPoP proof is for another method');
  if (url === undefined || typeof htu !== 'string' || normalised(htu) !== url) {
    throw new InvalidProof('The DPoP proof is for another URL');
  }
  if (ath !== (await sha256(token))) throw new InvalidProof('The DPoP proof is for another token');
}

async function verifiedClaims(proof: string, jkt: string, rules: ProofRules): Promise<JWTPayload> {
  try {
    const { jwk } = decodeProtectedHeader(proof);
    if (jwk === undefined) throw new InvalidProof('The DPoP proof lacks its key');
    if ((await calculateJwkThumbprint(jwk)) !== jkt) throw new InvalidToken('key_binding');
    const { payload } = await verifyJwt(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: [...rules.algorithms],
      currentDate: new Date(rules.now() * 1000),
      clockTolerance: rules.window,
    });
    if (typeof payload.iat !== 'number') throw new InvalidProof('The DPoP proof lacks its iat');
    return payload;
  } catch (error) {
    if (error instanceof AccessRefused) throw error;
    // Not only errors of jose: a key that is none has the runtime throw its own.
    throw new InvalidProof('The DPoP proof is malformed or its signature wrong', { cause: error });
  }
}

function checkTime({ iat = NaN }: JWTPayload, { now, window }: ProofRules): void {
  const offset = now() - iat;
  if (offset > window) throw new InvalidProof('The DPoP proof is too old');
  if (!(offset >= -window)) throw new InvalidProof('The DPoP proof is from the future');
}
