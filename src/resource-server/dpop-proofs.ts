import {
  calculateJwkThumbprint,
  decodeProtectedHeader,
  EmbeddedJWK,
  type JWTPayload,
  base64url,
  type CryptoKey,
} from 'jose';
import { sha256, isSameText } from './bytes.ts';
import { AccessRefused, InvalidProof, InvalidToken, NonceRequired, ReplaysUnavailable } from './errors.ts';
import type { ReplayStore } from './dpop-replays.ts';
import { normalised } from './public-url.ts';
import { verifyJwt } from './signed-token.ts';

export interface ProofRules {
  algorithms: readonly string[];
  /**
   * Seconds by which a proof's `iat` may differ from the current time. With nonces, the nonce limits the age instead.
   */
  window: number;
  /** Seconds by which the clock of each verifier may be wrong, if several share a replay store. */
  clockTolerance: number;
  nonces: Nonces | undefined;
  replays: ReplayStore;
  /** Returns the seconds since the Unix epoch. */
  now: () => number;
}

/** The request that a proof must match. */
interface Proven {
  method: string;
  /** The result of `requestUrl`; undefined if the request target is not a path. */
  url: string | undefined;
  token: string;
  /** Thumbprint of the key that the token is bound to. */
  jkt: string;
}

/** Longest accepted proof in characters, with room for ML-DSA-87 signatures. */
const MAX_LENGTH = 12_000;

/**
 * Checks a DPoP proof (RFC 9449 §4.3). It compares the proof's key with the token's key first, because verifying the
 * signature is expensive.
 * @returns the claims of the proof
 * @throws InvalidProof, InvalidToken, NonceRequired, ReplaysUnavailable
 */
export async function checkProof(proofs: readonly string[], proven: Proven, rules: ProofRules): Promise<JWTPayload> {
  const claims = await verifiedClaims(onlyProof(proofs), proven.jkt, rules);
  await checkPurpose(claims, proven);
  if (rules.nonces === undefined) checkTime(claims, rules);
  else if (!(await rules.nonces.accepts(claims['nonce']))) throw new NonceRequired();
  const { jti } = claims;
  if (typeof jti !== 'string' || jti === '') throw new InvalidProof('The DPoP proof lacks its jti');
  if (!(await isFirstUse(proven.jkt, jti, rules))) throw new InvalidProof('The DPoP proof was used before');
  return claims;
}

/**
 * Records a proof for as long as any verifier may accept it: twice the sum of window and clock tolerance. Verifiers
 * with fast clocks accept it early, those with slow clocks late.
 * @returns whether the proof was not used before
 */
async function isFirstUse(jkt: string, jti: string, rules: ProofRules): Promise<boolean> {
  const { replays, window, clockTolerance } = rules;
  try {
    return await replays.claim(jkt, await sha256(jti), 2 * (window + clockTolerance) + 1);
  } catch (cause) {
    throw cause instanceof AccessRefused ? cause : new ReplaysUnavailable({ cause });
  }
}

function onlyProof([proof, ...others]: readonly string[]): string {
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
    // The runtime throws errors other than jose's for an invalid key.
    throw new InvalidProof('The DPoP proof is malformed, or its signature is wrong', { cause: error });
  }
}

function checkTime({ iat = NaN }: JWTPayload, { now, window }: ProofRules): void {
  const offset = now() - iat;
  if (offset > window) throw new InvalidProof('The DPoP proof is too old');
  if (!(offset >= -window)) throw new InvalidProof('The DPoP proof is from the future');
}

/**
 * Nonces of this API (RFC 9449 §9), each valid for one to two periods. They are derived from a secret and the time, so
 * the API stores none, and processes with the same secret accept each other's nonces.
 */
export class Nonces {
  readonly #secret: Uint8Array<ArrayBuffer> | undefined;
  readonly #period: number;
  readonly #now: () => number;
  #key: Promise<CryptoKey> | undefined;

  /**
   * @param secret random by default
   * @param period in seconds
   * @param now returns seconds since the Unix epoch
   */
  constructor(secret: Uint8Array | undefined, period: number, now: () => number) {
    this.#secret = secret && new Uint8Array(secret);
    this.#period = period;
    this.#now = now;
  }

  current(): Promise<string> {
    return this.#at(this.#slot());
  }

  async accepts(nonce: unknown): Promise<boolean> {
    if (typeof nonce !== 'string') return false;
    const slot = this.#slot();
    const good = await Promise.all([slot, slot - 1].map((at) => this.#at(at)));
    return good.some((one) => isSameText(nonce, one));
  }

  #slot(): number {
    return Math.floor(this.#now() / this.#period);
  }

  async #at(slot: number): Promise<string> {
    // The key is created when it is first needed, because edge runtimes provide no randomness before the first request.
    const secret = (): Uint8Array<ArrayBuffer> => this.#secret ?? crypto.getRandomValues(new Uint8Array(32));
    this.#key ??= crypto.subtle.importKey('raw', secret(), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    const text = new TextEncoder().encode(`dpop-nonce:${slot}`);
    return base64url.encode(new Uint8Array(await crypto.subtle.sign('HMAC', await this.#key, text)));
  }
}
