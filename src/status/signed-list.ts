import { promisify } from 'node:util';
import { deflate, gzip } from 'node:zlib';
import { etagOf } from '../http/etag.ts';
import { epochSeconds, type Clock } from '../lib/clock.ts';
import { BELIEVED, type FollowedList } from './followed-lists.ts';

/** A Status List Token (draft-ietf-oauth-status-list-20 §5.1) as it is served. */
export interface SignedList {
  readonly token: string;
  readonly etag: string;
  /** The same list with a content coding, made for the first who takes that. */
  readonly gzipped: () => Promise<{ body: Buffer; etag: string }>;
}

export interface SigningParts {
  /** Signs with the key that is current, as `statuslist+jwt`. */
  sign: (claims: Readonly<Record<string, unknown>>) => Promise<string>;
  clock: Clock;
  issuer: string;
  /** Time in seconds for which an API that relies on lists alone may accept a revoked token; at least 2. */
  ttl: number;
  uriOf: (list: FollowedList) => string;
}

/** For how long a list is good beyond its `ttl`, in seconds: it bounds what holding an old one back can do. */
const BEYOND = 300;

const compress = promisify(deflate);
const encode = promisify(gzip);

interface Made {
  made: Promise<SignedList>;
  isUnderWay: boolean;
  /** The one that is made when this one is there, for all who came too late for it. */
  after?: Promise<SignedList>;
  changes: number;
  /** In seconds since the epoch. */
  exp: number;
}

/** Keeps each list signed. One is made when somebody asks and it has changed, or is half through its life. */
export class SignedLists {
  readonly #parts: SigningParts;
  readonly #life: number;
  #made = new WeakMap<FollowedList, Made>();

  constructor(parts: SigningParts) {
    this.#parts = parts;
    this.#life = BEYOND + 2 * parts.ttl;
  }

  /** The list with all that is known at this moment. */
  of(list: FollowedList): Promise<SignedList> {
    const former = this.#made.get(list);
    const now = epochSeconds(this.#parts.clock);
    if (former?.changes === list.changes && this.#isYoung(former, now)) return former.made;
    if (former?.isUnderWay === true) return (former.after ??= settled(former.made).then(() => this.of(list)));
    const next: Made = { changes: list.changes, exp: now + this.#life, made: this.#make(list, now), isUnderWay: true };
    this.#made.set(list, next);
    void settled(next.made).then(() => (next.isUnderWay = false));
    next.made.catch(() => this.#made.delete(list));
    return next.made;
  }

  /** Has every list signed anew. */
  forget(): void {
    this.#made = new WeakMap();
  }

  /** Nobody's clock is so wrong that a list would be over when it is fetched. */
  #isYoung({ exp }: Made, now: number): boolean {
    const left = exp - now;
    return left > this.#life / 2 && left <= this.#life;
  }

  async #make(list: FollowedList, now: number): Promise<SignedList> {
    const { issuer, ttl, uriOf, sign } = this.#parts;
    // A copy: the bits go on changing while another thread compresses them.
    const bytes = await compress(Buffer.from(list.bits), { level: 9 });
    const token = await sign({
      ...{ iss: issuer, sub: uriOf(list), iat: now, exp: now + this.#life, ttl: ttl - BELIEVED / 1000 },
      status_list: { bits: 1, lst: bytes.toString('base64url') },
    });
    const etag = etagOf(token);
    return { token, etag, gzipped: once(() => encoded(token, etag)) };
  }
}

/** Each representation has a validator of its own (RFC 9110 §8.8.3.3). */
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
