import type { JWK } from 'jose';
import type { TrustedIssuer } from '../config/schema.ts';
import { publicJwk } from '../config/values.ts';
import { keysIn, type KeySet, type KeySets } from '../outgoing/key-sets.ts';
import { chooseKey, type KeyChoice } from './choose-key.ts';

/** In seconds: a key that its issuer has taken out is good for as long. */
const FRESH = 600;
/** In seconds: while an issuer does not answer, its keys of before are good for as long. */
const STALE = 3600;

/** The public keys of issuers that the operator named: inline ones, and those at a `jwks_uri`. */
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
    // A key that came into use a moment ago; and nobody makes the server ask more often than the cooldown allows.
    const newest = await this.#sets.at(address, { maxAge: 0 });
    return chosen(this.#keysOf(newest), header, newest.keys);
  }

  #keysOf(set: KeySet): JWK[] {
    const keys = this.#publicKeys.get(set) ?? publicKeys(set.keys);
    this.#publicKeys.set(set, keys);
    return keys;
  }
}

/** @param all the set as it came, to tell a key that is not used from one that is not there */
function chosen(usable: readonly JWK[], header: { kid?: string | undefined; alg: string }, all: readonly unknown[]) {
  const choice = chooseKey(usable, header);
  if (choice !== 'unknown' || header.kid === undefined) return choice;
  return all.some((key) => (key as Partial<JWK> | null)?.kid === header.kid) ? 'weak' : choice;
}

/** The public keys of a set; of the others none could verify anything. */
function publicKeys(keys: readonly unknown[]): JWK[] {
  return keys.flatMap((key): JWK[] => {
    const read = publicJwk.safeParse(key);
    return read.success ? [read.data] : [];
  });
}
