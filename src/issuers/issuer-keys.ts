import type { JWK } from 'jose';
import type { TrustedIssuer } from '../config/schema.ts';
import { publicJwk } from '../config/values.ts';
import type { Clock } from '../lib/clock.ts';
import { chooseKey, type KeyChoice } from './choose-key.ts';

/** In seconds: a key that its issuer has taken out is good for as long. */
const FRESH = 600;
/** In seconds: while an issuer does not answer, its keys of before are good for as long. */
const STALE = 3600;
/** In seconds between two requests to one issuer, whatever the tokens say. */
const COOLDOWN = 30;
const MOST_KEYS = 100;

/** What is known of the keys at one address. */
interface KeySet {
  keys: readonly JWK[];
  /** When they came, in milliseconds since the epoch; 0 where they never did. */
  fetchedAt: number;
  triedAt: number;
  /** The request that is under way. */
  flight?: Promise<void> | undefined;
}

export interface IssuerKeysOptions {
  /** Guards where it goes, how long it takes and how much it reads: the address may be a stranger's. */
  fetch: typeof fetch;
  clock: Clock;
  /** Told when the keys of an address could not be had. */
  reportFailure: (address: string, error: unknown) => void;
}

/** The public keys of trusted issuers: inline ones, and those at a `jwks_uri`, which are fetched when they are needed. */
export class IssuerKeys {
  readonly #options: IssuerKeysOptions;
  readonly #sets = new Map<string, KeySet>();

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
  }

  async find({ jwks, jwks_uri: address }: TrustedIssuer, header: { kid?: string; alg: string }): Promise<KeyChoice> {
    if (address === undefined) return chooseKey(keysOf(jwks), header);
    const set = this.#setAt(address);
    if (this.#age(set.fetchedAt) > FRESH) await this.#refresh(address, set);
    if (this.#age(set.fetchedAt) > FRESH + STALE) return 'unavailable';
    const choice = chooseKey(set.keys, header);
    if (choice !== 'unknown') return choice;
    // A key that came into use a moment ago; and nobody makes the server ask more often than the cooldown allows.
    await this.#refresh(address, set);
    return chooseKey(set.keys, header);
  }

  #setAt(address: string): KeySet {
    const set = this.#sets.get(address) ?? { keys: [], fetchedAt: 0, triedAt: 0 };
    this.#sets.set(address, set);
    return set;
  }

  /** In seconds. */
  #age(time: number): number {
    return (this.#options.clock.now() - time) / 1000;
  }

  /** One request at a time for an address; whoever comes meanwhile waits for it. */
  async #refresh(address: string, set: KeySet): Promise<void> {
    if (set.flight === undefined && this.#age(set.triedAt) >= COOLDOWN) {
      set.triedAt = this.#options.clock.now();
      set.flight = this.#fetch(address, set).finally(() => (set.flight = undefined));
    }
    await set.flight;
  }

  async #fetch(address: string, set: KeySet): Promise<void> {
    try {
      const response = await this.#options.fetch(address, { headers: { accept: 'application/json' } });
      if (response.status !== 200) throw new Error(`answered ${response.status}`);
      set.keys = keysOf(await response.json());
      set.fetchedAt = this.#options.clock.now();
    } catch (error) {
      this.#options.reportFailure(address, error);
    }
  }
}

/** The public keys of a JWK set (RFC 7517 §5); of the others none could verify anything. @throws where it is no set */
function keysOf(set: unknown): JWK[] {
  const keys: unknown = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined;
  if (!Array.isArray(keys) || keys.length > MOST_KEYS) throw new Error(`is no JWK set of up to ${MOST_KEYS} keys`);
  return keys.flatMap((key): JWK[] => {
    const read = publicJwk.safeParse(key);
    return read.success ? [read.data] : [];
  });
}
