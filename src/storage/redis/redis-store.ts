import { Redis } from 'ioredis';
import { parseStoreUrl } from '../../config/store-url.ts';
import type { Clock } from '../../lib/clock.ts';
import { systemRandom } from '../../lib/random.ts';
import {
  type Bitmap,
  type Consumed,
  type Counter,
  type Index,
  type Item,
  type Key,
  type Page,
  type Store,
  type Stored,
  type Term,
  type TermPage,
  type WriteOptions,
  StoreUnavailable,
} from '../store.ts';
import { withTimeout } from './with-timeout.ts';
import { mastersOf, type Client } from './cluster-view.ts';
import { connectRedis, type Connection } from './connect.ts';
import { defectsOf } from './defects.ts';
import { bitmapKey, counterKey, dumpRedis, loadItem, recordKey } from './dump.ts';
import { Memberships } from './memberships.ts';
import type { PrimaryWatch } from './primary-watch.ts';
import { type WriteArguments, BITMAP_HEADER } from './scripts.ts';
import { Subscriptions } from './subscriptions.ts';

const PAGE = 100;
/** Milliseconds after which no write is under way any more: several times the longest duration of a command. */
const WRITE_PATIENCE = 15_000;

/** Connects to a single Redis, one behind Sentinel, or a Cluster. @throws StoreUnavailable if it does not answer */
export async function openRedisStore(url: string, clock: Clock, isReplicated = false): Promise<RedisStore> {
  const parsed = parseStoreUrl(url);
  if (parsed.backend !== 'redis') throw new Error('not the URL of a Redis');
  return new RedisStore(await connectRedis(parsed, isReplicated), clock);
}

/** Each operation is one command or script on one key, so Redis's single thread makes it atomic, even on a cluster. */
export class RedisStore implements Store {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #memberships: Memberships;
  readonly #subscriptions: Subscriptions;

  constructor(connection: Connection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
    this.#memberships = new Memberships(connection, clock, systemRandom);
    this.#subscriptions = new Subscriptions(connection.reader);
  }

  async get<T>(key: Key<T>): Promise<Stored<T> | undefined> {
    const { reader, watch } = this.#connection;
    const fields = reader.hmget(recordKey(key), 'value', 'version', 'consumedAt', 'expiresAt');
    return this.#stored<T>(await watch.confirmed(fields));
  }

  getMany<T>(keys: readonly Key<T>[]): Promise<(Stored<T> | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key)));
  }

  set<T>(key: Key<T>, value: T, options?: WriteOptions): Promise<void> {
    return this.#write(async (writer, confirmed) => {
      const write = await this.#prepare(key, value, options);
      await this.#memberships.leave(await confirmed(writer.recordSet(recordKey(key), ...write)));
    });
  }

  create<T>(key: Key<T>, value: T, options?: WriteOptions): Promise<boolean> {
    return this.#write(async (writer, confirmed) => {
      const write = await this.#prepare(key, value, options);
      return this.#settle(write, await confirmed(writer.recordCreate(recordKey(key), ...write)));
    });
  }

  replace<T>(key: Key<T>, value: T, version: number, options?: WriteOptions): Promise<boolean> {
    return this.#write(async (writer, confirmed) => {
      const write = await this.#prepare(key, value, options);
      return this.#settle(write, await confirmed(writer.recordReplace(recordKey(key), ...write, version)));
    });
  }

  consume<T>(key: Key<T>): Promise<Consumed> {
    return this.#write(async (writer, confirmed) => {
      const use = await confirmed(writer.recordConsume(recordKey(key), this.#clock.now()));
      if (use === 'first' || use === 'absent') return { use };
      return { use: 'already', at: Number(use) };
    });
  }

  take<T>(key: Key<T>): Promise<Stored<T> | undefined> {
    return this.#write(async (writer, confirmed) => {
      const fields = await confirmed(writer.recordTake(recordKey(key)));
      await this.#memberships.leave(fields[4]);
      return this.#stored<T>(fields);
    });
  }

  async delete<T>(key: Key<T>): Promise<boolean> {
    return (await this.take(key)) !== undefined;
  }

  members<T>(index: Index<T>, page: { after?: string; limit?: number } = {}): Promise<Page<T>> {
    return this.#memberships.page(index, page.after, page.limit ?? PAGE);
  }

  enlist<T>(index: Index<T>, member: Key<T>, ttl: number): Promise<void> {
    return this.#write(() => this.#memberships.enlist(index, member, this.#times(ttl).expiresAt));
  }

  range<T>(prefix: Term<T>, { after, limit = PAGE }: { after?: string; limit?: number } = {}): Promise<TermPage<T>> {
    return this.#memberships.range(prefix, after, limit);
  }

  increment(counter: Counter, by: number, ttl: number): Promise<number> {
    const { now, expiresAt, life } = this.#times(ttl);
    return this.#write((writer, confirmed) =>
      confirmed(writer.counterIncrement(counterKey(counter), now, by, expiresAt, life)),
    );
  }

  async setBits(bitmap: Bitmap, offsets: readonly number[], ttl: number): Promise<void> {
    const { now, expiresAt, life } = this.#times(ttl);
    const header = String(expiresAt).padStart(BITMAP_HEADER, '0');
    await this.#write((writer, confirmed) =>
      confirmed(writer.bitmapSet(bitmapKey(bitmap), now, header, life, ...offsets)),
    );
  }

  async readBits(bitmap: Bitmap): Promise<Buffer> {
    const { reader, watch } = this.#connection;
    const bytes = await watch.confirmed(reader.getBuffer(bitmapKey(bitmap)));
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

  dump(): AsyncIterable<readonly Item[]> {
    return dumpRedis(this.masters(), this.#connection.watch, this.#clock);
  }

  async load(items: readonly Item[]): Promise<void> {
    const connection = this.#connection;
    const now = this.#clock.now();
    await this.#write(() => Promise.all(items.map((item) => loadItem(item, connection, this.#memberships, now))));
  }

  defects({ isRepaired, patience = WRITE_PATIENCE }: { isRepaired: boolean; patience?: number }) {
    const connection = this.#connection;
    return defectsOf(this.masters(), { connection, clock: this.#clock, isRepaired, patience });
  }

  /** Returns the time of the server; on a cluster, that of its first master. */
  async time(): Promise<number> {
    const [master] = this.masters();
    if (master === undefined) throw new StoreUnavailable('no Redis master answers');
    const [seconds, microseconds] = await withTimeout(master.time());
    return Number(seconds) * 1000 + Number(microseconds) / 1000;
  }

  /** Checks every server that holds records, because a cluster without one of its masters cannot serve every key. */
  async health(): Promise<void> {
    const { reader, watch } = this.#connection;
    await watch.confirm();
    const masters = this.masters();
    await Promise.all(masters.map((master) => withTimeout(master.ping())));
    const expected = reader instanceof Redis ? 1 : countMasters(await withTimeout(reader.cluster('SLOTS')));
    // The client drops a master that went away, but the cluster still lists it.
    if (masters.length < expected) throw new StoreUnavailable(`${masters.length} of ${expected} Redis masters answer`);
  }

  close(): Promise<void> {
    this.#subscriptions.stop();
    this.#connection.close();
    return Promise.resolve();
  }

  /** Returns the servers that hold the records: one, or each master of a cluster. */
  masters(): Redis[] {
    return mastersOf(this.#connection.reader);
  }

  /** The Sentinels, if the store URL names any. */
  get sentinels(): Connection['sentinels'] {
    return this.#connection.sentinels;
  }

  /** Resolves once the primary has the write and, if the settings require it, the replicas have it too. */
  #write<T>(work: (writer: Client, confirmed: PrimaryWatch['confirmed']) => Promise<T>): Promise<T> {
    const { writer, watch, replication } = this.#connection;
    const write = () => work(writer, watch.confirmed);
    return replication === undefined ? write() : replication.replicated(write);
  }

  /** Enters the record into its indexes, and returns the arguments of the following write. */
  async #prepare<T>(key: Key<T>, value: T, options: WriteOptions | undefined): Promise<WriteArguments> {
    const text = JSON.stringify(value);
    const { now, expiresAt, life } = this.#times(options?.ttl ?? 0);
    const expiry = options?.ttl === undefined ? '' : expiresAt;
    return [now, text, expiry, life, await this.#memberships.enter(key, options, expiry, life)];
  }

  /**
   * Removes the index entries that the write has made superfluous: those of the former record if it succeeded, or its
   * own if it failed.
   * @returns whether it succeeded
   */
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
      value: JSON.parse(value) as T, // only a T is written under a Key<T>
      version: Number(version),
      ...(typeof consumedAt === 'string' && { consumedAt: Number(consumedAt) }),
      ...(expiresAt !== '' && { expiresAt: Number(expiresAt) }),
    };
  }
}

/**
 * Counts the masters in a CLUSTER SLOTS reply, whose rows are first slot, last slot, master, replicas…
 * @returns at least 1
 */
function countMasters(ranges: unknown): number {
  const masters = Array.isArray(ranges)
    ? ranges.map((range: unknown) => (Array.isArray(range) ? String(range[2]) : ''))
    : [];
  return Math.max(1, new Set(masters).size);
}
