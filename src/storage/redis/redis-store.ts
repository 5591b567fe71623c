import { Redis } from 'ioredis';
import { parseStoreUrl } from '../../config/store-url.ts';
import type { Clock } from '../../lib/clock.ts';
import { systemRandom } from '../../lib/random.ts';
import type { Bitmap, Consumed, Counter, Index, Key, Page, Store, Stored, WriteOptions } from '../store.ts';
import { StoreUnavailable } from '../store.ts';
import { answered } from './answered.ts';
import type { Client } from './connect.ts';
import { connectRedis } from './connect.ts';
import { Memberships } from './memberships.ts';
import type { WriteArguments } from './scripts.ts';
import { BITMAP_HEADER } from './scripts.ts';
import { Subscriptions } from './subscriptions.ts';

const PAGE = 100;

/** Connects to a single Redis, one behind Sentinel, or a Cluster. @throws StoreUnavailable when it does not answer */
export async function openRedisStore(url: string, clock: Clock): Promise<RedisStore> {
  const parsed = parseStoreUrl(url);
  if (parsed.backend !== 'redis') throw new Error('not the URL of a Redis');
  return new RedisStore(await connectRedis(parsed), clock);
}

/** Each verb is one command or one script on one key, so Redis's single thread makes it atomic, also on a Cluster. */
export class RedisStore implements Store {
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #memberships: Memberships;
  readonly #subscriptions: Subscriptions;

  constructor(client: Client, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
    this.#memberships = new Memberships(client, clock, systemRandom);
    this.#subscriptions = new Subscriptions(client);
  }

  async get<T>(key: Key<T>): Promise<Stored<T> | undefined> {
    const fields = await answered(this.#client.hmget(recordKey(key), 'value', 'version', 'consumedAt', 'expiresAt'));
    return this.#stored<T>(fields);
  }

  getMany<T>(keys: readonly Key<T>[]): Promise<(Stored<T> | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key)));
  }

  async set<T>(key: Key<T>, value: T, options?: WriteOptions): Promise<void> {
    const write = await this.#prepare(key, value, options);
    await this.#memberships.leave(await answered(this.#client.recordSet(recordKey(key), ...write)));
  }

  async create<T>(key: Key<T>, value: T, options?: WriteOptions): Promise<boolean> {
    const write = await this.#prepare(key, value, options);
    return this.#settle(write, await answered(this.#client.recordCreate(recordKey(key), ...write)));
  }

  async replace<T>(key: Key<T>, value: T, version: number, options?: WriteOptions): Promise<boolean> {
    const write = await this.#prepare(key, value, options);
    return this.#settle(write, await answered(this.#client.recordReplace(recordKey(key), ...write, version)));
  }

  async consume<T>(key: Key<T>): Promise<Consumed> {
    const use = await answered(this.#client.recordConsume(recordKey(key), this.#clock.now()));
    if (use === 'first' || use === 'absent') return { use };
    return { use: 'already', at: Number(use) };
  }

  async take<T>(key: Key<T>): Promise<Stored<T> | undefined> {
    const fields = await answered(this.#client.recordTake(recordKey(key)));
    await this.#memberships.leave(fields[4]);
    return this.#stored<T>(fields);
  }

  async delete<T>(key: Key<T>): Promise<boolean> {
    return (await this.take(key)) !== undefined;
  }

  members<T>(index: Index<T>, page: { after?: string; limit?: number } = {}): Promise<Page<T>> {
    return this.#memberships.page(index, page.after, page.limit ?? PAGE);
  }

  enlist<T>(index: Index<T>, member: Key<T>, ttl: number): Promise<void> {
    return this.#memberships.enlist(index, member, this.#times(ttl).expiresAt);
  }

  increment(counter: Counter, by: number, ttl: number): Promise<number> {
    const { now, expiresAt, life } = this.#times(ttl);
    return answered(this.#client.counterIncrement(`counter:${counter}`, now, by, expiresAt, life));
  }

  async setBits(bitmap: Bitmap, offsets: readonly number[], ttl: number): Promise<void> {
    const { now, expiresAt, life } = this.#times(ttl);
    const header = String(expiresAt).padStart(BITMAP_HEADER, '0');
    await answered(this.#client.bitmapSet(bitmapKey(bitmap), now, header, life, ...offsets));
  }

  async readBits(bitmap: Bitmap): Promise<Buffer> {
    const bytes = await answered(this.#client.getBuffer(bitmapKey(bitmap)));
    if (bytes === null) return Buffer.alloc(0);
    const expiresAt = Number(bytes.toString('latin1', 0, BITMAP_HEADER));
    return expiresAt > this.#clock.now() ? bytes.subarray(BITMAP_HEADER) : Buffer.alloc(0);
  }

  publish(channel: string, message: string): Promise<void> {
    return this.#subscriptions.publish(channel, message);
  }

  subscribe(channel: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    return this.#subscriptions.subscribe(channel, listener);
  }

  /** Asks every server that holds records: without one of its masters a cluster cannot serve every key. */
  async health(): Promise<void> {
    const masters = this.masters();
    await Promise.all(masters.map((master) => answered(master.ping())));
    const expected = this.#client instanceof Redis ? 1 : countMasters(await answered(this.#client.cluster('SLOTS')));
    // A master that went away is dropped from the client's list, while the cluster goes on naming it.
    if (masters.length < expected) throw new StoreUnavailable(`${masters.length} of ${expected} Redis masters answer`);
  }

  close(): Promise<void> {
    this.#subscriptions.stop();
    this.#client.disconnect();
    return Promise.resolve();
  }

  /** The servers that hold the records: one, or each master of a cluster. */
  masters(): Redis[] {
    return this.#client instanceof Redis ? [this.#client] : this.#client.nodes('master');
  }

  /** Enters the indexes and builds the arguments of the write that follows. */
  async #prepare<T>(key: Key<T>, value: T, options: WriteOptions | undefined): Promise<WriteArguments> {
    const text = JSON.stringify(value);
    const { now, expiresAt, life } = this.#times(options?.ttl ?? 0);
    const expiry = options?.ttl === undefined ? '' : expiresAt;
    return [now, text, expiry, life, await this.#memberships.enter(key, options?.indexes, expiry)];
  }

  /** After a write that won, the former one's index entries go; after one that lost, its own. */
  async #settle(write: WriteArguments, [won, former]: [won: 0 | 1, former: string | null]): Promise<boolean> {
    await this.#memberships.leave(won === 1 ? former : write[4]);
    return won === 1;
  }

  #times(ttl: number): { now: number; expiresAt: number; life: number } {
    const now = this.#clock.now();
    const life = Math.ceil(ttl * 1000);
    return { now, expiresAt: now + life, life };
  }

  #stored<T>([value, version, consumedAt, expiresAt]: readonly (string | null | undefined)[]): Stored<T> | undefined {
    if (typeof value !== 'string' || typeof expiresAt !== 'string') return undefined;
    if (expiresAt !== '' && Number(expiresAt) <= this.#clock.now()) return undefined;
    return {
      value: JSON.parse(value) as T, // what is under a Key<T> was written as one
      version: Number(version),
      ...(typeof consumedAt === 'string' && { consumedAt: Number(consumedAt) }),
      ...(expiresAt !== '' && { expiresAt: Number(expiresAt) }),
    };
  }
}

/** How many masters the answer of CLUSTER SLOTS names: rows of first slot, last slot, master, replicas…; at least one. */
function countMasters(ranges: unknown): number {
  const masters = Array.isArray(ranges)
    ? ranges.map((range: unknown) => (Array.isArray(range) ? String(range[2]) : ''))
    : [];
  return Math.max(1, new Set(masters).size);
}

// A kind before each name, since Redis has one space of names where the port has four.
function recordKey(key: string): string {
  return `record:${key}`;
}

function bitmapKey(bitmap: string): string {
  return `bitmap:${bitmap}`;
}
