import type { JWK } from 'jose';
import type { TrustedIssuer } from '../config/schema.ts';
import { publicJwk } from '../config/values.ts';
import { keysIn, type KeySet, type KeySets } from '../outgoing/key-sets.ts';

/** Seconds for which fetched keys are used, even if the issuer removes one meanwhile. */
const FRESH = 600;
/** Additional seconds for which earlier keys are used if the issuer does not answer. */
const STALE = 3600;

/** Public keys of the operator's trusted issuers: inline ones, and those at a `jwks_uri`. */
export class IssuerKeys {
  readonly #sets: KeySets;
  readonly #publicKeys = new WeakMap<KeySet, JWK[]>();

  constructor(sets: KeySets) {
    this.#sets = sets;
  }

  async find(
    { jwks, jwks_uri: address }: Pick<TrustedIssuer, 'jwks' | 'jwks_uri'>,
    header: { kid?: string | undefined; alg: string },
  ): Promise<KeyChoice> {
    if (address === undefined) return chosen(publicKeys(keysIn(jwks)), header, keysIn(jwks));
    const set = await this.#sets.at(address, { maxAge: FRESH });
    if (this.#sets.age(set) > FRESH + STALE) return 'unavailable';
    const choice = chooseKey(this.#keysOf(set), header);
    if (choice !== 'unknown') return choice;
    // The key may be new, so the set is fetched again. The cooldown limits such fetches.
    const newest = await this.#sets.at(address, { maxAge: 0 });
    return chosen(this.#keysOf(newest), header, newest.keys);
  }

  #keysOf(set: KeySet): JWK[] {
    const keys = this.#publicKeys.get(set) ?? publicKeys(set.keys);
    this.#publicKeys.set(set, keys);
    return keys;
  }
}

/** Selects the key for a header. @param all the unfiltered set, to distinguish an unusable key from a missing one */
function chosen(usable: readonly JWK[], header: { kid?: string | undefined; alg: string }, all: readonly unknown[]) {
  const choice = chooseKey(usable, header);
  if (choice !== 'unknown' || header.kid === undefined) return choice;
  return all.some((key) => (key as Partial<JWK> | null)?.kid === header.kid) ? 'weak' : choice;
}

/** Returns the valid public keys of a set, because no other key can verify a signature. */
function publicKeys(keys: readonly unknown[]): JWK[] {
  return keys.flatMap((key): JWK[] => {
    const read = publicJwk.safeParse(key);
    return read.success ? [read.data] : [];
  });
}

/** Outcome of the search for a signature's key. */
export type KeyChoice = { jwk: JWK } | 'unavailable' | 'unknown' | 'ambiguous' | 'unfit' | 'weak';

/** The `kty` and, if fixed, the curve of an algorithm's key (RFC 7518 §3.1, RFC 8037 §3.1). */
const KEY_TYPES: Readonly<Record<string, { kty: string; crv?: string }>> = {
  ES256: { kty: 'EC', crv: 'P-256' },
  ES384: { kty: 'EC', crv: 'P-384' },
  ES512: { kty: 'EC', crv: 'P-521' },
  EdDSA: { kty: 'OKP', crv: 'Ed25519' },
};
const RSA = { kty: 'RSA', crv: undefined };

/**
 * Selects the only key that a token's header can mean. The key must allow the header's algorithm (RFC 8725 §3.1), so
 * that no key is used against its owner's intent.
 */
function chooseKey(keys: readonly JWK[], { kid, alg }: { kid?: string | undefined; alg: string }): KeyChoice {
  const candidates = kid === undefined ? keys : keys.filter((key) => key.kid === kid);
  const [jwk, ...others] = candidates.filter((key) => fits(key, alg));
  if (jwk === undefined) return kid === undefined || candidates.length === 0 ? 'unknown' : 'unfit';
  return others.length === 0 ? { jwk } : 'ambiguous';
}

function fits(key: JWK, alg: string): boolean {
  const { kty, crv } = KEY_TYPES[alg] ?? RSA;
  return (
    key.kty === kty &&
    (crv === undefined || key.crv === crv) &&
    (key.alg === undefined || key.alg === alg) &&
    (key.use === undefined || key.use === 'sig') &&
    (key.key_ops === undefined || key.key_ops.includes('verify'))
  );
}
