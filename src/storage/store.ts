import { sha256 } from '../lib/hash.ts';
import type { Random } from '../lib/random.ts';
import { seal, unseal } from '../lib/seal.ts';

/**
 * The storage port. Every operation acts on one key atomically, and has the same result on every backend under any
 * concurrency. No operation spans two keys. A record that has expired by the store's clock counts as absent, even if
 * its bytes still exist.
 */
export interface Store {
  get<T>(key: Key<T>): Promise<Stored<T> | undefined>;
  /** Reads each key separately; the results are in the order of the keys. */
  getMany<T>(keys: readonly Key<T>[]): Promise<(Stored<T> | undefined)[]>;
  /**
   * Writes unconditionally, and clears the mark of `consume`. The record is then a member of the named indexes only.
   */
  set<T>(key: Key<T>, value: T, options?: WriteOptions): Promise<void>;
  /** Writes only if no record exists. @returns whether this call wrote */
  create<T>(key: Key<T>, value: T, options?: WriteOptions): Promise<boolean>;
  /**
   * Writes only if the record still has the version that was read (compare-and-swap). It keeps the mark of `consume`.
   * @returns whether this call wrote
   */
  replace<T>(key: Key<T>, value: T, version: number, options?: WriteOptions): Promise<boolean>;
  /**
   * Marks the record as used, unless it is marked already. The record stays until it expires, so a replay is detected.
   */
  consume<T>(key: Key<T>): Promise<Consumed>;
  /** Reads and deletes in one step: only one of several callers gets the record. */
  take<T>(key: Key<T>): Promise<Stored<T> | undefined>;
  /** @returns whether there was a record */
  delete<T>(key: Key<T>): Promise<boolean>;

  /**
   * Returns one page of an index, sorted by expiry and then by key; durable records come last. It leaves out expired
   * members. After a crash, a member may name a record that was never written, and callers skip it.
   */
  members<T>(index: Index<T>, page?: { after?: string; limit?: number }): Promise<Page<T>>;
  /**
   * Adds a member that has no record to an index, for `ttl` seconds. A member that is added again stays until the later
   * expiry, and `members` may return it once for each expiry.
   */
  enlist<T>(index: Index<T>, member: Key<T>, ttl: number): Promise<void>;

  /**
   * Returns one page of the terms under a prefix, which begins with the name of their order. Terms are sorted as text,
   * and equal terms as in `members`. A page may be shorter than its limit although more terms follow. A record that is
   * written meanwhile may be returned again.
   */
  range<T>(prefix: Term<T>, page?: { after?: string; limit?: number }): Promise<TermPage<T>>;

  /** Adds to a counter. The first addition starts its lifetime of `ttl` seconds. @returns the sum */
  increment(counter: Counter, by: number, ttl: number): Promise<number>;
  /** Sets bits of a bitmap to 1, and grows it as needed. Its lifetime of `ttl` seconds starts again. */
  setBits(bitmap: Bitmap, offsets: readonly number[], ttl: number): Promise<void>;
  /** Returns the bytes of a bitmap, or none if it does not exist. Bit 0 is the highest bit of byte 0. */
  readBits(bitmap: Bitmap): Promise<Buffer>;

  /** Sends a notice to every node. It may be lost, so nothing may depend on it. */
  publish(channel: string, message: string): Promise<void>;
  /** @returns a function that removes the listener */
  subscribe(channel: string, listener: (message: string) => void): Promise<() => Promise<void>>;

  /**
   * Returns everything that has not expired, in batches and in any order. A record that exists throughout is returned
   * at least once. A record that is written or deleted meanwhile may be missing. SQLite and
   * PostgreSQL return a snapshot, taken at the first batch.
   * @throws StoreUnavailable also if a cluster moves its slots
   */
  dump(): AsyncIterable<readonly Item[]>;
  /** Writes dumped items, overwrites items of the same name, and skips expired items. It may be repeated. */
  load(items: readonly Item[]): Promise<void>;

  /**
   * Finds index entries and terms to which no record belongs, and items that the backend would never drop although they
   * have an expiry. With `isRepaired`, it removes those entries, and enforces that expiry. Other nodes may write
   * meanwhile.
   * @param patience milliseconds that a write of another node may take, by default 15 seconds
   */
  defects(options: { isRepaired: boolean; patience?: number }): AsyncIterable<readonly Defect[]>;

  /** The backend's clock, in milliseconds since the epoch. @throws StoreUnavailable */
  time(): Promise<number>;
  /** Resolves if the backend can serve. @throws StoreUnavailable */
  health(): Promise<void>;
  close(): Promise<void>;
}

declare const held: unique symbol;
/** The name of a record that holds a `T`. Only `keyspace` builds it; `records.md` lists all keyspaces. */
export type Key<T> = string & { readonly [held]?: T };
export type Index<T> = string & { readonly [held]?: T };
/** A sortable text by which `range` finds a record: the name of the order, a colon, and any characters except NUL. */
export type Term<T> = string & { readonly [held]?: T };
export type Counter = string & { readonly [held]?: 'counter' };
export type Bitmap = string & { readonly [held]?: 'bitmap' };

export interface Stored<T> {
  value: T;
  /** Grows by one with every write to an existing record. */
  version: number;
  /** Time of the record's first use, in milliseconds since the epoch. */
  consumedAt?: number;
  /** In milliseconds since the epoch; absent for a durable record. */
  expiresAt?: number;
}

export interface WriteOptions {
  /** Lifetime in seconds from now; 0 deletes the record at once. Without it, the record is durable. */
  ttl?: number;
  /** The indexes that the record is a member of. */
  indexes?: readonly Index<unknown>[];
  /** The terms under which `range` finds the record. Like `indexes`, each write lists all of them. */
  terms?: readonly Term<unknown>[];
}

export type Consumed = { use: 'first' } | { use: 'already'; at: number } | { use: 'absent' };

export interface Page<T> {
  keys: Key<T>[];
  /** Cursor of the next page; absent on the last page. */
  next?: string;
}

export interface TermPage<T> {
  found: { term: Term<T>; key: Key<T> }[];
  /** Cursor of the next page; absent on the last page. */
  next?: string;
}

/** One complete item of a store, as `dump` returns it and `load` writes it. */
export type Item = RecordItem | MemberItem | CounterItem | BitmapItem;

/** An inconsistency inside a store. */
export interface Defect {
  /** `dangling`: an entry without a record. `endless`: an item whose expiry the backend does not enforce. */
  what: 'dangling' | 'endless';
  /** The index or term of a dangling entry, or the kind of an endless item: record, counter or bitmap. */
  name: string;
  key: string;
  /** True if it was removed or given its expiry. */
  isMended: boolean;
}

interface RecordItem {
  kind: 'record';
  key: string;
  /** The value as JSON text. */
  json: string;
  version: number;
  consumedAt?: number;
  expiresAt?: number;
  indexes?: readonly string[];
  terms?: readonly string[];
}

/** A member of an index that has no record. */
interface MemberItem {
  kind: 'member';
  index: string;
  key: string;
  expiresAt: number;
}

interface CounterItem {
  kind: 'counter';
  key: string;
  sum: number;
  expiresAt: number;
}

interface BitmapItem {
  kind: 'bitmap';
  key: string;
  bits: Buffer;
  expiresAt: number;
}

/** Returns a function that names the records of one kind: `const accountKey = keyspace<Account>('account')`. */
export function keyspace<T>(name: string): (id: string) => Key<T> {
  return (id) => `${name}:${id}`;
}

/** A record with an encrypted part, which only the holder of a secret can open. Its other members stay readable. */
export interface Sealed<T> {
  readonly sealed: string;
  readonly [held]?: T;
}

/**
 * Returns a function that names sealed records of one kind by the hash of a secret. A browser or a client that holds
 * the secret can find and open the record. The store alone can do neither.
 */
export function sealedKeyspace<T extends Partial<Sealed<unknown>>>(name: string): (secret: string) => Key<T> {
  return (secret) => `${name}:${sha256(secret)}`;
}

export function sealRecord<T>(secret: string, value: T, random: Random): Sealed<T> {
  return { sealed: seal(secret, JSON.stringify(value), random) };
}

/** @throws Error if the record was sealed under another secret, or was changed */
export function openRecord<T>(secret: string, record: Sealed<T>): T {
  return JSON.parse(unseal(secret, record.sealed)) as T;
}

/** Returns the part of a key after the name of its kind: the inverse of `keyspace`. */
export function idOf(key: Key<unknown>): string {
  return key.slice(key.indexOf(':') + 1);
}

/** Thrown if no server has created a store at this URL yet. */
export class StoreMissing extends Error {
  override name = 'StoreMissing';
  /** The store's URL without its password. */
  readonly place: string;

  constructor(place: string) {
    super('there is no store');
    this.place = place;
  }
}

/** Thrown if the backend cannot serve now. The HTTP server then answers 503 with `Retry-After`. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
}

/** Thrown if a store cannot be opened by its URL. */
export class StoreNotOpened extends StoreUnavailable {
  readonly #failure: string;
  readonly #fix: string;

  /** @param fix the remedy, with `STORE_URL` in the place of the URL's name; empty if there is none */
  constructor(failure: string, fix: string, options?: ErrorOptions, origin = 'the store URL') {
    super(fix === '' ? failure : `${failure}. ${fix.replace('STORE_URL', origin)}`, options);
    this.#failure = failure;
    this.#fix = fix;
  }

  /** Throws the error again, and a failure to open also names the origin of the URL, such as a setting or a file. */
  static rethrow(error: unknown, origin: string): never {
    if (!(error instanceof StoreNotOpened)) throw error;
    throw new StoreNotOpened(error.#failure, error.#fix, { cause: error.cause }, `the store URL (${origin})`);
  }
}
