import type { JWK } from 'jose';
import type { TrustedIssuer } from '../config/schema.ts';
import { publicJwk } from '../config/values.ts';
import { keysIn, type KeySet, type KeySets } from '../outgoing/key-sets.ts';
import { chooseKey, type KeyChoice } from './choose-key.ts';

/** Seconds for which fetched keys are used, even if the issuer removes one meanwhile. */
const FRESH = 600;
/** Seconds for which earlier keys are used if the issuer does not answer. */
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
    // Fetches again for a key that is new; the cooldown limits such fetches.
    const newest = await this.#sets.at(address, { maxAge: 0 });
    return chosen(this.#keysOf(newest), header, newest.keys);
  }

  #keysOf(set: KeySet): JWK[] {
    const keys = this.#publicKeys.get(set) ?? publicKeys(set.keys);
    this.#publicKeys.set(set, keys);
    return keys;
  }
}

/** @param all the unfiltered set, to distinguish an unusable key from a missing one */
function chosen(usable: readonly JWK[], header: { kid?: string | undefined; alg: string }, all: readonly unknown[]) {
  const choice = chooseKey(usable, header);
  if (choice !== 'unknown' || header.kid === undefined) return choice;
  return all.some((key) => (key as Partial<JWK> | null)?.kid === header.kid) ? 'weak' : choice;
}

/** Keeps the public keys of a set; no other key can verify. */
function publicKeys(keys: readonly unknown[]): JWK[] {
  return keys.flatMap((key): JWK[] => {
    const read = publicJwk.safeParse(key);
    return read.success ? [read.data] : [];
  });
}
