import type { JWTPayload } from 'jose';
import { age, now, unref, type Timer } from './timers.ts';
import { DelayedRefetch } from './delayed-refetch.ts';
import { InvalidToken, StatusUnavailable } from './errors.ts';
import { FollowedList } from './followed-list.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import { urlOfIssuer } from './issuer-metadata.ts';
import type { StatusOptions } from './options.ts';
import { StatusEvents, type StatusNews } from './status-events.ts';
import type { ListRules } from './status-list.ts';

export interface StatusRules extends Omit<ListRules, 'keys'> {
  keys: IssuerKeys;
  /** True if a token without a status list index is refused. */
  isRequired: boolean;
  /** Seconds beyond a list's `ttl` for which an unconfirmed list is still accepted. */
  acceptFor: number;
  /** Timeout of a request to the issuer, in seconds. */
  timeout: number;
  /** Finds the issuer's event stream; undefined if it must not be used. */
  eventsUrl: (() => Promise<URL | undefined>) | undefined;
  /** Credentials of this API at the issuer. */
  client: StatusOptions['client'];
  /** Keeps the runtime alive until the work is finished. */
  waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

const MAX_LISTS = 256;
/** Seconds after its last use for which a list is updated in the background. */
const KEPT_UP_FOR = 300;
/** Seconds after its last use for which a list is kept. */
const KEPT_FOR = 1800;
/** Milliseconds between two looks for lists to fetch or drop, and between two attempts to reach the issuer. */
const TICK = 1000;

/** The status lists of an issuer: fetched when a token first names one, then kept up to date in the background. */
export class StatusLists {
  readonly #rules: StatusRules;
  readonly #lists = new Map<string, FollowedList>();
  readonly #keysChanged: DelayedRefetch;
  #events: StatusEvents | undefined;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(rules: StatusRules) {
    this.#rules = rules;
    this.#keysChanged = new DelayedRefetch(() => rules.keys.renew());
  }

  /**
   * Checks a token's status. It returns undefined if the status is already known, and otherwise asks the issuer.
   * @throws InvalidToken if the token is revoked, StatusUnavailable if its status is unknown now
   */
  check(claims: JWTPayload): Promise<void> | undefined {
    const reference = referenceIn(claims);
    if (reference === undefined) {
      if (this.#rules.isRequired) throw new InvalidToken('claims');
      return undefined;
    }
    const list = this.#lists.get(reference.uri) ?? this.#add(reference.uri);
    if (list === undefined) throw new InvalidToken('claims');
    list.usedAt = now();
    const status = list.at(reference.index);
    if (status === undefined || !list.isFresh()) return this.#recheck(list, reference.index);
    if (list.isDue && this.#mayTry(list)) void list.refresh();
    refuseUnlessGood(status);
    return undefined;
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#events?.close();
    this.#keysChanged.close();
    for (const list of this.#lists.values()) list.close();
  }

  async #recheck(list: FollowedList, index: number): Promise<void> {
    if (!list.isFresh()) await this.#confirm(list);
    // The list may have grown since it was fetched.
    if (list.at(index) === undefined) await list.refresh();
    const status = list.at(index);
    if (status === undefined && list.failure !== undefined) throw new StatusUnavailable({ cause: list.failure.cause });
    refuseUnlessGood(status);
  }

  async #confirm(list: FollowedList): Promise<void> {
    const { timeout } = this.#rules;
    const from = now();
    const refreshed = this.#mayTry(list) ? list.refresh() : undefined;
    // While the issuer does not answer, a request that `acceptFor` still allows does not wait.
    const isAway = failedAgo(list) <= timeout * 1000 + 2 * TICK;
    if (!isAway || !this.#mayServe(list)) await refreshed;
    // A fetch that an earlier request began may be too old for this one.
    if (!list.isFresh(from) && list.isConfirmed() && list.failure === undefined) await list.refresh();
    if (!list.isFresh(from) && !this.#mayServe(list)) throw new StatusUnavailable({ cause: list.failure?.cause });
  }

  /**
   * Tells whether the list may be used after a failed fetch. After a timeout, it may be used only if `acceptFor` is
   * set.
   */
  #mayServe(list: FollowedList): boolean {
    const { acceptFor } = this.#rules;
    return list.isConfirmed(acceptFor) && list.failure !== undefined && (!list.wasSilent || acceptFor > 0);
  }

  /** Tells whether enough time has passed since the last failed fetch. */
  #mayTry(list: FollowedList): boolean {
    return failedAgo(list) >= TICK;
  }

  /**
   * Begins to follow a list. Returns undefined if the list is not at the issuer's origin, because a token must not
   * direct requests elsewhere.
   */
  #add(uri: string): FollowedList | undefined {
    const url = urlOfIssuer(uri, this.#rules.issuer);
    if (url === undefined) return undefined;
    this.#begin();
    if (this.#lists.size >= MAX_LISTS) this.#dropLeastUsed();
    const list = new FollowedList(uri, url, {
      ...this.#rules,
      keys: this.#rules.keys.findOfIssuer,
      keepUpKeys: () => {
        this.#rules.keys.keepUp();
      },
      streamLife: () => this.#events?.life ?? 0,
      trustedFor: () => this.#events?.trustedFor ?? Infinity,
    });
    this.#lists.set(uri, list);
    return list;
  }

  /**
   * Starts the background work at the first token with a status. Thus an API may start before its issuer, and an API
   * whose tokens have no status does no work.
   */
  #begin(): void {
    if (this.#timer !== undefined || this.#isClosed || this.#rules.waitUntil !== undefined) return;
    this.#timer = unref(setInterval(() => this.#tick(), TICK));
    const { eventsUrl, client } = this.#rules;
    if (eventsUrl === undefined) return;
    const news: StatusNews = {
      onStart: () => {
        this.#keysChanged.news();
        for (const list of this.#lists.values()) list.changed();
      },
      onRevoked: (uri, indexes) => {
        // Follows an unknown list too, because its first copy may come from a node that does not know of the revocation
        // yet.
        const list = this.#lists.get(uri) ?? (this.#lists.size < MAX_LISTS ? this.#add(uri) : undefined);
        list?.revoke(indexes);
      },
      onChanged: (uri) => this.#lists.get(uri)?.changed(),
      onKeys: () => this.#keysChanged.news(),
      onCurrent: () => {
        for (const list of this.#lists.values()) list.confirm();
      },
    };
    this.#events = new StatusEvents(eventsUrl, news, client);
    this.#events.open();
  }

  #tick(): void {
    for (const [uri, list] of this.#lists) {
      const unused = age(list.usedAt) / 1000;
      if (unused > KEPT_FOR || (!list.isLoaded && unused > 10)) this.#drop(uri);
      else if (unused <= KEPT_UP_FOR && list.isLoaded && list.isDue) void list.refresh();
    }
  }

  #dropLeastUsed(): void {
    const [oldest] = [...this.#lists].sort(([, one], [, other]) => one.usedAt - other.usedAt);
    if (oldest !== undefined) this.#drop(oldest[0]);
  }

  #drop(uri: string): void {
    this.#lists.get(uri)?.close();
    this.#lists.delete(uri);
  }
}

/** Returns the milliseconds since the last fetch failed; infinite if it succeeded. */
function failedAgo({ failure }: FollowedList): number {
  return age(failure?.at ?? -Infinity);
}

function refuseUnlessGood(status: number | undefined): void {
  if (status !== 0) throw new InvalidToken(status === undefined ? 'claims' : 'revoked');
}

interface StatusReference {
  uri: string;
  index: number;
}

/** Reads the token's status list and index (draft-ietf-oauth-status-list §6.2). @throws InvalidToken */
function referenceIn({ status }: JWTPayload): StatusReference | undefined {
  if (status === undefined) return undefined;
  const list = member(status, 'status_list');
  const [uri, index] = [member(list, 'uri'), member(list, 'idx')];
  if (typeof uri !== 'string' || uri.length > 2048) throw new InvalidToken('claims');
  if (!Number.isSafeInteger(index) || Number(index) < 0) throw new InvalidToken('claims');
  return { uri, index: Number(index) };
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
