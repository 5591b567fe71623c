import { promisify } from 'node:util';
import { deflate, gzip } from 'node:zlib';
import { etagOf } from '../http/response-headers.ts';
import { epochSeconds, type Clock } from '../lib/clock.ts';
import { MAX_COMPARISON_AGE, type FollowedList } from './followed-lists.ts';

/** A Status List Token (draft-ietf-oauth-status-list-20 §5.1) as it is served. */
export interface SignedList {
  readonly token: string;
  readonly etag: string;
  /** Returns the compressed token, which is made for the first client that accepts it. */
  readonly gzipped: () => Promise<{ body: Buffer; etag: string }>;
}

export interface SigningDependencies {
  /** Signs a `statuslist+jwt` with the current key. */
  sign: (claims: Readonly<Record<string, unknown>>) => Promise<string>;
  clock: Clock;
  issuer: string;
  /** Time in seconds for which an API that relies on lists alone may accept a revoked token; at least 2. */
  ttl: number;
  uriOf: (list: FollowedList) => string;
}

/**
 * Seconds by which the life of a signed list exceeds twice its `ttl`. Its expiry limits an attack that serves an old
 * list.
 */
const EXTRA_LIFE = 300;

const compress = promisify(deflate);
const encode = promisify(gzip);

interface CachedList {
  made: Promise<SignedList>;
  isUnderWay: boolean;
  /** The next signing, shared by all callers that came too late for the current one. */
  after?: Promise<SignedList>;
  changes: number;
  /** Expiry in seconds since the epoch. */
  exp: number;
}

/** Caches each signed list. A request signs the list again if it has changed or half of its life is over. */
export class SignedLists {
  readonly #dependencies: SigningDependencies;
  readonly #life: number;
  #cached = new WeakMap<FollowedList, CachedList>();

  constructor(dependencies: SigningDependencies) {
    this.#dependencies = dependencies;
    this.#life = EXTRA_LIFE + 2 * dependencies.ttl;
  }

  /** Returns the signed list with all revocations that this node knows now. */
  of(list: FollowedList): Promise<SignedList> {
    const former = this.#cached.get(list);
    const now = epochSeconds(this.#dependencies.clock);
    if (former?.changes === list.changes && this.#isFresh(former, now)) return former.made;
    if (former?.isUnderWay === true) return (former.after ??= settled(former.made).then(() => this.of(list)));
    const next: CachedList = {
      changes: list.changes,
      exp: now + this.#life,
      made: this.#make(list, now),
      isUnderWay: true,
    };
    this.#cached.set(list, next);
    void settled(next.made).then(() => (next.isUnderWay = false));
    next.made.catch(() => this.#cached.delete(list));
    return next.made;
  }

  /** Drops all signed lists, so that the next request signs them again. */
  forget(): void {
    this.#cached = new WeakMap();
  }

  /** Tells whether less than half of a list's life is over. It is then valid even for clients whose clock is ahead. */
  #isFresh({ exp }: CachedList, now: number): boolean {
    const left = exp - now;
    return left > this.#life / 2 && left <= this.#life;
  }

  async #make(list: FollowedList, now: number): Promise<SignedList> {
    const { issuer, ttl, uriOf, sign } = this.#dependencies;
    // Compresses a copy, because the bits may change while another thread compresses them.
    const bytes = await compress(Buffer.from(list.bits), { level: 9 });
    const token = await sign({
      ...{ iss: issuer, sub: uriOf(list), iat: now, exp: now + this.#life, ttl: ttl - MAX_COMPARISON_AGE / 1000 },
      status_list: { bits: 1, lst: bytes.toString('base64url') },
    });
    const etag = etagOf(token);
    return { token, etag, gzipped: once(() => encoded(token, etag)) };
  }
}

/** Compresses a token. The compressed form has an ETag of its own (RFC 9110 §8.8.3.3). */
async function encoded(token: string, etag: string): Promise<{ body: Buffer; etag: string }> {
  return { body: await encode(token, { level: 9 }), etag: etag.replace(/"$/, '-gzip"') };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

function settled(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch(() => undefined);
}
