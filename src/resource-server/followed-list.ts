import { age, now } from './timers.ts';
import { DelayedRefetch } from './delayed-refetch.ts';
import { fetchFromIssuer, isSilence, type Fetched } from './issuer-fetch.ts';
import { readStatusList, type ListRules, type StatusList } from './status-list.ts';

export interface FollowRules extends ListRules {
  /** Timeout of a request to the issuer, in seconds. */
  timeout: number;
  /** Returns the number of the current event stream, or 0 if there is none. */
  streamLife: () => number;
  /** Returns the milliseconds for which a list stays confirmed while the stream is silent. */
  trustedFor: () => number;
  /** Keeps the runtime alive until the work is finished. */
  waitUntil?: ((work: Promise<unknown>) => void) | undefined;
  /** Fetches the issuer's keys. Called while no event stream is open, because then nothing announces a revoked key. */
  keepUpKeys: () => void;
}

/** Fraction of a list's `ttl` after which it is fetched again, while the old copy is still valid. */
const DUE = 0.5;
/**
 * Longest time in seconds after a fetch for which the stream may confirm a list. It limits the harm of a slow or wrong
 * stream.
 */
const STREAM_TRUSTED_FOR = 120;
/** Shortest time in seconds between two fetches of a list that the stream keeps confirming. */
const FETCHED_EVERY = 60;
/** Seconds without a response after which the request is repeated over another connection. */
const PATIENCE = 0.5;
/** Maximum number of revoked indexes that are remembered beyond the end of the fetched list. */
const MAX_HEARD = 100_000;

/** A status list of the issuer, kept up to date. All times are in milliseconds. */
export class FollowedList {
  readonly #uri: string;
  readonly #url: URL;
  readonly #rules: FollowRules;
  readonly #refetch = new DelayedRefetch(() => this.refreshAgain());
  #list: StatusList | undefined;
  #etag: string | undefined;
  readonly #heard = new Set<number>();
  /** Time at which the list was last known to be current: when it was requested, or when the stream confirmed it. */
  #confirmedAt = -Infinity;
  #fetchedAt = -Infinity;
  #followedIn = 0;
  /** Number of stream events that announced a change without naming the indexes. */
  #news = 0;
  #refreshing: Promise<void> | undefined;
  #failure: { at: number; cause: unknown } | undefined;
  usedAt = now();

  /** @param uri the list's name in tokens @param url the address to fetch it from */
  constructor(uri: string, url: URL, rules: FollowRules) {
    this.#uri = uri;
    this.#url = url;
    this.#rules = rules;
  }

  get isLoaded(): boolean {
    return this.#list !== undefined;
  }

  /** The failure of the last fetch; undefined if it succeeded. */
  get failure(): { at: number; cause: unknown } | undefined {
    return this.#failure;
  }

  /** Returns the status of an index: 0 if valid, undefined beyond the end of the list. */
  at(index: number): number | undefined {
    return this.#heard.has(index) ? 1 : this.#list?.at(index);
  }

  /** Tells whether the list was confirmed recently enough to rely on. @param grace seconds beyond its `ttl` */
  isConfirmed(grace = 0): boolean {
    if (this.#list === undefined) return false;
    const allowed = this.#rules.clockTolerance + grace;
    return !this.#expiresWithin(-allowed) && age(this.#confirmedAt) <= (this.#list.ttl + grace) * 1000;
  }

  /** Tells whether the list may be used without a fetch. @param at start of the request that uses it */
  isFresh(at = now()): boolean {
    return this.isConfirmed() && this.#confirmedAt >= at - this.#rules.trustedFor();
  }

  /** Tells whether the last fetch timed out. The node that should have answered may hang. */
  get wasSilent(): boolean {
    return isSilence(this.#failure?.cause);
  }

  /** Tells whether to fetch the list again in the background, well before the copy becomes too old. */
  get isDue(): boolean {
    const due = (this.#list?.ttl ?? 0) * DUE * 1000;
    return age(this.#confirmedAt) >= due || age(this.#fetchedAt) >= Math.max(due, FETCHED_EVERY * 1000);
  }

  /** Fetches the list; concurrent callers share one fetch. It never rejects: `isConfirmed` shows the result. */
  refresh(): Promise<void> {
    if (this.#refreshing === undefined) {
      this.#refreshing = this.#fetch()
        .then(
          () => (this.#failure = undefined),
          (cause: unknown) => (this.#failure = { at: now(), cause }),
        )
        .then(() => (this.#refreshing = undefined));
      this.#rules.waitUntil?.(this.#refreshing);
    }
    return this.#refreshing;
  }

  /** Fetches the list after any current fetch, whose response may be older than the change. */
  refreshAgain(): void {
    void (this.#refreshing ?? Promise.resolve()).then(() => this.refresh());
  }

  /** Adds revoked indexes from the stream. */
  revoke(indexes: readonly number[]): void {
    for (const index of indexes) {
      if (this.#list?.at(index) !== undefined) this.#list.revoke(index);
      else if (this.#heard.size < MAX_HEARD) this.#heard.add(index);
      else this.changed();
    }
  }

  /** Records that the list changed in an unknown way. The stream cannot confirm the list until it is fetched again. */
  changed(): void {
    this.#news += 1;
    this.#followedIn = 0;
    this.#refetch.news();
  }

  /**
   * Records that the stream has reported all changes up to now. That confirms a copy that was fetched recently and has
   * missed no change.
   */
  confirm(): void {
    const isFollowed = this.#followedIn !== 0 && this.#followedIn === this.#rules.streamLife();
    const isWhole = isFollowed && this.#failure === undefined;
    if (isWhole && age(this.#fetchedAt) <= STREAM_TRUSTED_FOR * 1000) this.#confirmedAt = now();
  }

  close(): void {
    this.#refetch.close();
  }

  async #fetch(): Promise<void> {
    const askedAt = now();
    const [life, news] = [this.#rules.streamLife(), this.#news];
    if (life === 0) this.#rules.keepUpKeys();
    const fetched = await this.#ask();
    if (this.#list === undefined && life !== 0) this.#refetch.later();
    if (fetched.status === 200) {
      await this.#open(fetched.body);
      this.#etag = fetched.etag;
    } else if (fetched.status !== 304 || this.#list === undefined) {
      throw new Error(`${this.#url.href} answers ${fetched.status}`);
    }
    this.#fetchedAt = askedAt;
    // Keeps a later time at which the stream has confirmed the list.
    if (age(this.#confirmedAt) > age(askedAt)) this.#confirmedAt = askedAt;
    this.#followedIn = news === this.#news ? life : 0;
  }

  #ask(): Promise<Fetched> {
    const { timeout, trustedFor } = this.#rules;
    return fetchFromIssuer(this.#url, {
      timeout,
      patience: trustedFor() === Infinity ? undefined : PATIENCE,
      accept: 'application/statuslist+jwt',
      // Sends no ETag for a copy that is about to expire, because it needs a later expiry even if its bits are current.
      etag: this.#expiresWithin(this.#list?.ttl ?? 0) ? undefined : this.#etag,
    });
  }

  #expiresWithin(seconds: number): boolean {
    return this.#list !== undefined && this.#list.expiresAt <= this.#rules.currentDate().getTime() / 1000 + seconds;
  }

  async #open(token: string): Promise<void> {
    const list = await readStatusList(token, this.#uri, this.#rules);
    if (this.#list !== undefined) list.keep(this.#list);
    this.#list = list;
    const heard = [...this.#heard];
    this.#heard.clear();
    this.revoke(heard);
  }
}
