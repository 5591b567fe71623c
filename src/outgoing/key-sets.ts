import type { Clock } from '../lib/clock.ts';
import type { FetchBudget } from './fetch-budget.ts';

/** Shortest time in seconds between two requests to one address, whatever the first returned. */
const COOLDOWN = 30;
const MOST_KEYS = 100;
/** Largest total size of all cached sets in bytes. */
const MOST_BYTES = 8_388_608;
const MOST_SETS = 2000;

/** The latest keys of one address. */
export interface KeySet {
  /** Unfiltered: the reader decides which keys are usable. */
  readonly keys: readonly unknown[];
  /** In milliseconds since the epoch; 0 if they were never fetched. */
  readonly fetchedAt: number;
  /** The `Cache-Control` of the response. */
  readonly cacheControl: string;
}

interface KeySetsOptions {
  /** A guarded `fetch`, because a stranger may have chosen the address. */
  fetch: typeof fetch;
  clock: Clock;
  /** Limits fetches by caller and by host. */
  budget?: FetchBudget;
  /** Reports that the keys of an address could not be fetched. */
  reportFailure: (address: string, error: unknown) => void;
}

interface CachedSet {
  set: KeySet;
  triedAt: number;
  bytes: number;
  /** The request that is under way. */
  flight?: Promise<void> | undefined;
}

const NOTHING: KeySet = { keys: [], fetchedAt: 0, cacheControl: '' };

/**
 * JWK Sets (RFC 7517 §5) of clients, trusted issuers and statement issuers. Each address gets one request at a time,
 * and at most one every 30 seconds, even if it returns nothing useful.
 */
export class KeySets {
  readonly #options: KeySetsOptions;
  /** The least recently used first. */
  readonly #cached = new Map<string, CachedSet>();
  #bytes = 0;

  constructor(options: KeySetsOptions) {
    this.#options = options;
  }

  /**
   * Returns the keys of an address, and fetches them if they are older than `maxAge` seconds. It never rejects: after a
   * failure it returns the earlier keys, whose age the caller must check.
   * @param payer the caller that the budget charges for the fetch
   */
  async at(address: string, { maxAge, payer }: { maxAge: number; payer?: string | undefined }): Promise<KeySet> {
    const known = this.#cached.get(address);
    if (known !== undefined) this.#use(address, known);
    if (known !== undefined && this.age(known.set) <= maxAge) return known.set;
    const place = this.#isResting(known) ? known : this.#refresh(address, known, payer);
    // Concurrent callers wait for the pending request.
    await place?.flight;
    return place?.set ?? NOTHING;
  }

  /** Returns the age of a key set in seconds. */
  age({ fetchedAt }: KeySet): number {
    return this.#since(fetchedAt);
  }

  #since(time: number): number {
    return (this.#options.clock.now() - time) / 1000;
  }

  #use(address: string, place: CachedSet): void {
    this.#cached.delete(address);
    this.#cached.set(address, place);
    this.#forget(address);
  }

  #isResting(place: CachedSet | undefined): boolean {
    return place !== undefined && (place.flight !== undefined || this.#since(place.triedAt) < COOLDOWN);
  }

  /**
   * Fetches the keys, if the budget allows it. Only then is the address cached, so that invented addresses displace no
   * others.
   */
  #refresh(address: string, known: CachedSet | undefined, payer: string | undefined): CachedSet | undefined {
    if (this.#options.budget?.take(address, payer) === false) return known;
    const place = known ?? { set: NOTHING, triedAt: 0, bytes: 0 };
    place.triedAt = this.#options.clock.now();
    place.flight = this.#fetch(address, place, payer).finally(() => (place.flight = undefined));
    this.#use(address, place);
    return place;
  }

  async #fetch(address: string, place: CachedSet, payer: string | undefined): Promise<void> {
    try {
      const response = await this.#options.fetch(address, { headers: { accept: 'application/json' } });
      if (response.status !== 200) throw new Error(`answered ${response.status}`);
      const text = await response.text();
      const keys = keysIn(JSON.parse(text));
      const cacheControl = (response.headers.get('cache-control') ?? '').slice(0, 200);
      place.set = { keys, fetchedAt: this.#options.clock.now(), cacheControl };
      this.#count(address, place, text.length);
      this.#options.budget?.answered(address, payer);
    } catch (error) {
      this.#options.reportFailure(address, error);
    }
  }

  #count(address: string, place: CachedSet, bytes: number): void {
    if (this.#cached.get(address) !== place) return;
    this.#bytes += bytes - place.bytes;
    place.bytes = bytes;
    this.#forget(address);
  }

  #forget(kept: string): void {
    for (const [address, { bytes, flight }] of this.#cached) {
      if (this.#bytes <= MOST_BYTES && this.#cached.size <= MOST_SETS) return;
      if (address === kept || flight !== undefined) continue;
      this.#cached.delete(address);
      this.#bytes -= bytes;
    }
  }
}

/** Returns the keys of a JWK Set. @throws Error if it is malformed or too large */
export function keysIn(set: unknown): unknown[] {
  const keys: unknown = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined;
  if (!Array.isArray(keys) || keys.length > MOST_KEYS) throw new Error(`is no JWK set of up to ${MOST_KEYS} keys`);
  return keys;
}
