import type { JWTPayload } from 'jose';
import { age, now } from './clock.ts';
import { DelayedRefetch } from './delayed-refetch.ts';
import { InvalidToken, StatusUnavailable } from './errors.ts';
import { FollowedList } from './followed-list.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import { urlOfIssuer } from './issuer-metadata.ts';
import type { StatusOptions } from './options.ts';
import { StatusEvents, type StatusNews } from './status-events.ts';
import type { ListRules } from './status-list.ts';
import { unref, type Timer } from './timers.ts';

export interface StatusRules extends Omit<ListRules, 'keys'> {
  keys: IssuerKeys;
  /** True if a token without a status list index is refused. */
  isRequired: boolean;
  /** Seconds beyond a list's `ttl` for which it serves where it cannot be confirmed. */
  acceptFor: number;
  /** Seconds. */
  timeout: number;
  /** Finds the issuer's event stream; undefined if it must not be used. */
  eventsUrl: (() => Promise<URL | undefined>) | undefined;
  /** The client that this API is. */
  client: StatusOptions['client'];
  /** Lets work finish in a runtime that would end it with the request. */
  waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

const MAX_LISTS = 256;
/** Seconds: for how long a list is kept up to date, and kept at all, after a token of it was seen. */
const KEPT_UP_FOR = 300;
const KEPT_FOR = 1800;
/** Milliseconds. */
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
   * Says at once, as nearly always, or after asking the issuer.
   * @throws InvalidToken if the token was revoked, StatusUnavailable if its status cannot be known now
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
    if (status === undefined || !list.isFresh()) return this.#checkAnew(list, reference.index);
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

  async #checkAnew(list: FollowedList, index: number): Promise<void> {
    if (!list.isFresh()) await this.#confirm(list);
    // It may have grown since it was fetched.
    if (list.at(index) === undefined) await list.refresh();
    const status = list.at(index);
    if (status === undefined && list.failure !== undefined) throw new StatusUnavailable({ cause: list.failure.cause });
    refuseUnlessGood(status);
  }

  async #confirm(list: FollowedList): Promise<void> {
    const { timeout } = this.#rules;
    const from = now();
    const refreshed = this.#mayTry(list) ? list.refresh() : undefined;
    // While the issuer is known to be away, what may pass without it does not wait for it.
    const isAway = failedAgo(list) <= timeout * 1000 + 2 * TICK;
    if (!isAway || !this.#mayServe(list)) await refreshed;
    // It may have been asked for another request, too long ago for this one.
    if (!list.isFresh(from) && list.isConfirmed() && list.failure === undefined) await list.refresh();
    if (!list.isFresh(from) && !this.#mayServe(list)) throw new StatusUnavailable({ cause: list.failure?.cause });
  }

  /** Tells whether it serves after the issuer was asked in vain. Who listens for news does not take silence for good news. */
  #mayServe(list: FollowedList): boolean {
    const { acceptFor } = this.#rules;
    return list.isConfirmed(acceptFor) && list.failure !== undefined && (!list.wasSilent || acceptFor > 0);
  }

  /** While the issuer is away it is not asked for every request. */
  #mayTry(list: FollowedList): boolean {
    return failedAgo(list) >= TICK;
  }

  /** A token must not send the kit anywhere else than to its issuer; nothing then. */
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

  /** Only now: an API must be able to start before its issuer does, and none whose tokens have no status needs any of it. */
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
        // Of a list that is not there yet it is kept too: the first copy may come from a node that does not know yet.
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

/** Milliseconds; infinitely long where the last attempt did not fail. */
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
