import { parseStoreUrl, printableStoreUrl, type PostgresUrl } from '../../config/store-url.ts';
import type { Clock } from '../../lib/clock.ts';
import {
  type Bitmap,
  type Consumed,
  type Counter,
  type Defect,
  type Index,
  type Item,
  type Key,
  type Page,
  type Store,
  type Stored,
  type Term,
  type TermPage,
  type WriteOptions,
  StoreMissing,
} from '../store.ts';
import { TickBatcher } from '../tick-batcher.ts';
import { defectsOf } from './defects.ts';
import { dumpPostgres, loadItems } from './dump.ts';
import { rowNames, storedName } from './names.ts';
import { LONGEST_NOTICE, Notices } from './notices.ts';
import { readMembers, readRange } from './pages.ts';
import { Primary } from './primary.ts';
import { checkServer, schemaExists, prepareSchema } from './schema.ts';
import { DURABLE, statementsOf, type Statements, type Statement } from './statements.ts';

const PAGE = 100;

/**
 * Opens the store in a PostgreSQL database. If `mayCreate` is true, it creates a missing schema.
 * @throws StoreMissing, StoreUnavailable if no primary answers, or Error for a server that cannot hold a store
 */
export async function openPostgresStore(
  url: string,
  clock: Clock,
  { isReplicated, mayCreate }: { isReplicated: boolean; mayCreate: boolean },
): Promise<PostgresStore> {
  const parsed = parseStoreUrl(url);
  if (parsed.backend !== 'postgres') throw new Error('not the URL of a PostgreSQL');
  const primary = await Primary.connect(parsed, isReplicated);
  try {
    if (!mayCreate && !(await schemaExists(primary, parsed.schema))) throw new StoreMissing(printableStoreUrl(url));
    await checkServer(primary, parsed);
    await prepareSchema(primary, parsed.schema);
    return new PostgresStore(parsed, primary, clock);
  } catch (error) {
    await primary.close();
    throw error;
  }
}

interface Read {
  key: string;
  row?: Record<string, unknown> | undefined;
}

/** Each change to a key is one statement, so PostgreSQL's row locks make it atomic. */
export class PostgresStore implements Store {
  readonly url: PostgresUrl;
  readonly primary: Primary;
  readonly #clock: Clock;
  readonly #statements: Statements;
  readonly #notices: Notices;
  readonly #stopSweeper: () => void;
  readonly #reads = new TickBatcher<Read>((reads) => this.#readAll(reads));
  readonly #entries = new TickBatcher<[index: string, expiresAt: number, member: string]>((entries) =>
    this.#enlistAll(entries),
  );

  constructor(url: PostgresUrl, primary: Primary, clock: Clock) {
    this.url = url;
    this.primary = primary;
    this.#clock = clock;
    this.#statements = statementsOf(url.schema);
    this.#notices = new Notices(url);
    this.#stopSweeper = startSweeper(primary, this.#statements.sweeps, clock);
  }

  async get<T>(key: Key<T>): Promise<Stored<T> | undefined> {
    const read: Read = { key };
    await this.#reads.add(read);
    return stored<T>(read.row, this.#clock.now());
  }

  getMany<T>(keys: readonly Key<T>[]): Promise<(Stored<T> | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key)));
  }

  async set<T>(key: Key<T>, value: T, options?: WriteOptions): Promise<void> {
    await this.primary.run(this.#statements.set, this.#write(key, value, options));
  }

  async create<T>(key: Key<T>, value: T, options?: WriteOptions): Promise<boolean> {
    const values = [...this.#write(key, value, options), this.#clock.now()];
    return (await this.primary.run(this.#statements.create, values)).changed === 1;
  }

  async replace<T>(key: Key<T>, value: T, version: number, options?: WriteOptions): Promise<boolean> {
    const values = [...this.#write(key, value, options), version, this.#clock.now()];
    return (await this.primary.run(this.#statements.replace, values)).changed === 1;
  }

  async consume<T>(key: Key<T>): Promise<Consumed> {
    // Repeats only if another caller clears the mark between the two statements.
    for (;;) {
      const { changed } = await this.primary.run(this.#statements.consume, [storedName(key), this.#clock.now()]);
      if (changed === 1) return { use: 'first' };
      const record = await this.get(key);
      if (record === undefined) return { use: 'absent' };
      if (record.consumedAt !== undefined) return { use: 'already', at: record.consumedAt };
    }
  }

  async take<T>(key: Key<T>): Promise<Stored<T> | undefined> {
    const { rows } = await this.primary.run(this.#statements.take, [storedName(key)]);
    return stored<T>(rows[0], this.#clock.now());
  }

  async delete<T>(key: Key<T>): Promise<boolean> {
    return (await this.take(key)) !== undefined;
  }

  members<T>(index: Index<T>, { after, limit = PAGE }: { after?: string; limit?: number } = {}): Promise<Page<T>> {
    return readMembers(this.primary, this.#statements, { index, after, limit }, this.#clock.now());
  }

  enlist<T>(index: Index<T>, member: Key<T>, ttl: number): Promise<void> {
    return this.#entries.add([index, this.#expiry({ ttl }), member]);
  }

  range<T>(prefix: Term<T>, { after, limit = PAGE }: { after?: string; limit?: number } = {}): Promise<TermPage<T>> {
    return readRange(this.primary, this.#statements, { prefix, after, limit }, this.#clock.now());
  }

  async increment(counter: Counter, by: number, ttl: number): Promise<number> {
    const { key, whole } = rowNames(counter);
    const values = [key, whole, by, this.#expiry({ ttl }), this.#clock.now()];
    const { rows } = await this.primary.run(this.#statements.increment, values);
    return Number(rows[0]?.['sum']);
  }

  async setBits(bitmap: Bitmap, offsets: readonly number[], ttl: number): Promise<void> {
    const { key, whole } = rowNames(bitmap);
    const values = [key, whole, offsets, this.#expiry({ ttl }), this.#clock.now()];
    await this.primary.run(this.#statements.set_bits, values);
  }

  async readBits(bitmap: Bitmap): Promise<Buffer> {
    const { rows } = await this.primary.run(this.#statements.read_bits, [storedName(bitmap), this.#clock.now()]);
    const bits = rows[0]?.['bits'];
    return Buffer.isBuffer(bits) ? bits : Buffer.alloc(0);
  }

  async publish(channel: string, message: string): Promise<void> {
    const values = this.#notices.arguments(channel, message);
    // A notice that is too long is dropped, because any notice may be lost.
    if (Buffer.byteLength(values[1]) > LONGEST_NOTICE) return;
    await this.primary.run(this.#statements.publish, values);
  }

  subscribe(channel: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    return this.#notices.subscribe(channel, listener);
  }

  dump(): AsyncIterable<readonly Item[]> {
    return dumpPostgres(this.primary, this.url.schema, this.#clock.now());
  }

  load(items: readonly Item[]): Promise<void> {
    return loadItems(this.primary, this.url.schema, items, this.#clock.now());
  }

  defects({ isRepaired }: { isRepaired: boolean }): AsyncIterable<readonly Defect[]> {
    return defectsOf(this.primary, this.url.schema, isRepaired);
  }

  async time(): Promise<number> {
    const { rows } = await this.primary.run(this.#statements.time, []);
    return Number(rows[0]?.['time']);
  }

  async health(): Promise<void> {
    await this.primary.run(this.#statements.health, []);
  }

  async close(): Promise<void> {
    this.#stopSweeper();
    await Promise.all([this.#notices.stop(), this.primary.close()]);
  }

  /** Reads with one statement everything that was requested in one tick of the event loop. */
  async #readAll(reads: readonly Read[]): Promise<void> {
    const keys = reads.map(({ key }) => storedName(key));
    const { rows } = await this.primary.run(this.#statements.read, [keys]);
    for (const [at, read] of reads.entries()) read.row = rows[at];
  }

  async #enlistAll(entries: readonly [index: string, expiresAt: number, member: string][]): Promise<void> {
    const rows = entries.map(([index, , member]) => rowNames(member, { indexes: [index] }));
    const columns = [
      rows.map(({ names }) => names?.[0]),
      entries.map(([, expiresAt]) => expiresAt),
      rows.map(({ key }) => key),
      rows.map(({ whole }) => whole),
    ];
    await this.primary.run(this.#statements.enlist, columns);
  }

  #write(key: string, value: unknown, options: WriteOptions | undefined): unknown[] {
    const { key: name, names, whole } = rowNames(key, options);
    return [name, names, whole, JSON.stringify(value), this.#expiry(options)];
  }

  #expiry(options: WriteOptions | undefined): number {
    return options?.ttl === undefined ? DURABLE : Math.ceil(this.#clock.now() + options.ttl * 1000);
  }
}

function stored<T>(row: Record<string, unknown> | undefined, now: number): Stored<T> | undefined {
  if (typeof row?.['value'] !== 'string') return undefined;
  const { value, version, consumed_at: consumedAt, expires_at: expiry } = row;
  const expiresAt = Number(expiry);
  if (expiresAt <= now) return undefined;
  return {
    value: JSON.parse(value) as T, // only a T is written under a Key<T>
    version: Number(version),
    ...(consumedAt !== null && { consumedAt: Number(consumedAt) }),
    ...(expiresAt !== DURABLE && { expiresAt }),
  };
}

/** Maximum number of rows for each statement, small enough to hold their locks for only milliseconds. */
const BATCH = 1000;
/** Milliseconds until the next sweep: `IDLE` if none of the batches was full, `BACKLOG` if one was. */
const IDLE = 10_000;
const BACKLOG = 50;

/**
 * Deletes expired rows in the background. Concurrent nodes skip each other's rows.
 * @returns a function that stops the sweeper
 */
export function startSweeper(primary: Primary, sweeps: readonly Statement[], clock: Clock): () => void {
  let isStopped = false;
  let timer = setTimeout(next, IDLE).unref();

  function next(): void {
    void sweep(primary, sweeps, clock.now()).then((isBacklog) => {
      if (!isStopped) timer = setTimeout(next, isBacklog ? BACKLOG : IDLE).unref();
    });
  }

  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}

/** Deletes one batch of expired rows from each table. @returns whether there may be more */
async function sweep(primary: Primary, sweeps: readonly Statement[], now: number): Promise<boolean> {
  try {
    let isBacklog = false;
    for (const statement of sweeps) {
      const { changed } = await primary.run(statement, [now, BATCH]);
      isBacklog ||= changed === BATCH;
    }
    return isBacklog;
  } catch {
    // Expired rows count as absent until the next sweep. `health` reports a broken server.
    return false;
  }
}
