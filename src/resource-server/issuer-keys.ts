import {
  errors,
  type CryptoKey,
  type JWTVerifyGetKey,
  createLocalJWKSet,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWTHeaderParameters,
} from 'jose';
import { age, now } from './timers.ts';
import { IssuerUnavailable } from './errors.ts';
import { fetchFromIssuer } from './issuer-fetch.ts';

interface IssuerKeysOptions {
  /** Finds the URL of the key set. It is called before each fetch. */
  jwksUri: () => Promise<URL>;
  /** Shortest time between two fetches for an unknown `kid`, in seconds. */
  cooldown: number;
  /** Timeout of a request to the issuer, in seconds. */
  timeout: number;
  /** Time in seconds for which fetched keys are valid. */
  maxAge: number;
  /** Seconds for which old keys are used after a change was announced, if the new keys cannot be fetched. */
  outdatedFor: number;
  /** Keeps the runtime alive until the work is finished. */
  waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

type Asked = Parameters<JWTVerifyGetKey>;

/** Fraction of `maxAge` after which keys are fetched again, while the old ones are still valid. */
const AHEAD = 0.8;

/** The keys that an issuer publishes. */
export class IssuerKeys {
  readonly #options: IssuerKeysOptions;
  #keySet: KeySet | undefined;
  /** Time at which the request for these keys was sent. Later changes may be missing from them. */
  #askedAt = -Infinity;
  /** Time of the first notice after that request that the keys have changed. */
  #changedAt = -Infinity;
  #lastTry: { at: number; failed: boolean } = { at: -Infinity, failed: false };
  #loading: Promise<KeySet> | undefined;

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
  }

  /**
   * Finds a token's key. An unknown key causes a fetch, at most once in each cooldown, so that invented key ids cannot
   * overload the issuer.
   * @throws IssuerUnavailable, or jose's error if the keys are current and lack it
   */
  readonly find = (...asked: Asked): CryptoKey | Promise<CryptoKey> =>
    this.#usable()?.known(asked[0]) ?? this.#search(asked);

  /**
   * Finds the key of a document that the issuer itself publishes. An unknown `kid` then means a new key, so it causes a
   * fetch regardless of the cooldown.
   */
  readonly findOfIssuer = async (...asked: Asked): Promise<CryptoKey> => {
    const known = this.#usable()?.known(asked[0]);
    if (known !== undefined) return known;
    return await (this.#usable() ?? (await this.#load())).find(...asked).catch((error: unknown) => {
      if (error instanceof errors.JWKSNoMatchingKey) return this.#searchAgain(asked);
      throw error;
    });
  };

  /** Fetches the keys in the background, at most once a second, for a caller that gets no change notices. */
  keepUp(): void {
    if (age(this.#lastTry.at) >= 1000) this.#load().catch(() => undefined);
  }

  /** Fetches the keys after any current fetch, whose response may be older than the change. */
  renew(): void {
    if (this.#changedAt <= this.#askedAt) this.#changedAt = now();
    const earlier = this.#loading ?? Promise.resolve();
    earlier
      .catch(() => undefined)
      .then(() => this.#load())
      .catch(() => undefined);
  }

  async #search(asked: Asked): Promise<CryptoKey> {
    try {
      return await (this.#usable() ?? (await this.#load())).find(...asked);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw aboutTokenOrIssuer(error);
      if (age(this.#lastTry.at) >= this.#options.cooldown * 1000) return await this.#searchAgain(asked);
      // If the last fetch failed, the issuer may have published the key meanwhile.
      throw this.#lastTry.failed ? new IssuerUnavailable({ cause: error }) : error;
    }
  }

  async #searchAgain(asked: Asked): Promise<CryptoKey> {
    try {
      return await (await this.#load()).find(...asked);
    } catch (error) {
      throw aboutTokenOrIssuer(error);
    }
  }

  /** Returns the keys, unless they are too old. If they soon will be, it starts a fetch in the background. */
  #usable(): KeySet | undefined {
    const passed = age(this.#askedAt);
    const good = this.#options.maxAge * 1000;
    if (passed >= good || this.#isOutdated()) return undefined;
    if (passed >= good * AHEAD && age(this.#lastTry.at) >= 1000) this.#load().catch(() => undefined);
    return this.#keySet;
  }

  #isOutdated(): boolean {
    return this.#changedAt > this.#askedAt && age(this.#changedAt) >= this.#options.outdatedFor * 1000;
  }

  #load(): Promise<KeySet> {
    if (this.#loading === undefined) {
      this.#loading = this.#fetch().finally(() => {
        this.#loading = undefined;
      });
      this.#options.waitUntil?.(this.#loading.catch(() => undefined));
    }
    return this.#loading;
  }

  async #fetch(): Promise<KeySet> {
    const askedAt = now();
    this.#lastTry = { at: askedAt, failed: true };
    const { timeout, jwksUri } = this.#options;
    const url = await jwksUri();
    const { status, body } = await fetchFromIssuer(url, {
      timeout,
      accept: 'application/jwk-set+json, application/json',
    });
    if (status !== 200) throw new Error(`${url.href} answers ${status}`);
    this.#keySet = new KeySet(JSON.parse(body));
    this.#askedAt = askedAt;
    this.#lastTry = { at: askedAt, failed: false };
    return this.#keySet;
  }
}

function aboutTokenOrIssuer(error: unknown): unknown {
  return isAboutTheToken(error) ? error : new IssuerUnavailable({ cause: error });
}

/**
 * The keys of one fetch. It caches the key that it found for each header, because the search takes a tenth of the time
 * of a verification.
 */
class KeySet {
  readonly #find: ReturnType<typeof createLocalJWKSet>;
  readonly #found = new Map<string, CryptoKey>();

  /** Parses a JWK Set. @throws Error if it is not one */
  constructor(jwks: unknown) {
    this.#find = createLocalJWKSet(jwks as JSONWebKeySet);
  }

  /** Returns the key that was found for this header before. */
  known({ alg, kid }: JWTHeaderParameters): CryptoKey | undefined {
    return this.#found.get(`${alg} ${kid ?? ''}`);
  }

  /** Finds the key for a header. @throws jose's error if the set has no such key, several, or an invalid one */
  async find(header: JWTHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    const key = await this.#find(header, token);
    // Only headers with a match get here, so invented headers do not fill the cache.
    this.#found.set(`${header.alg} ${header.kid ?? ''}`, key);
    return key;
  }
}

/** Tells whether the token is at fault and not the key set. */
function isAboutTheToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}
