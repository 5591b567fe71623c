import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { Clock } from '../../lib/clock.ts';
import { decodeCursor, encodeCursor } from '../cursor.ts';
import type {
  Bitmap,
  Consumed,
  Counter,
  Defect,
  Index,
  Item,
  Key,
  Page,
  Store,
  Stored,
  Term,
  TermPage,
  WriteOptions,
} from '../store.ts';
import { TickBatcher } from '../tick-batcher.ts';
import { withRetry } from './with-retry.ts';
import { startCheckpoints, startSweeper } from './maintenance.ts';
import { FileIdentity, openDatabase, DURABLE } from './open-database.ts';
import { ChangeNotices } from './change-notices.ts';
import { defectsOf } from './defects.ts';
import { dumpDatabase, loadItems } from './dump.ts';
import { type Statements, prepareStatements } from './statements.ts';
import { readRange, storedNames } from './terms.ts';

const PAGE = 100;

/** Opens or creates the store in the file at `path`. Any number of processes on one machine may share the file. */
export function openSqliteStore(path: string, clock: Clock): Store {
  return new SqliteStore(path, clock);
}

/** Each change to a key is one SQL statement, so SQLite's locks make it atomic across threads and processes. */
class SqliteStore implements Store {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  readonly #notices: ChangeNotices;
  readonly #file: FileIdentity;
  readonly #stopSweeper: () => void;
  readonly #stopCheckpoints: () => void;
  readonly #entries = new TickBatcher<[index: string, expiresAt: number, member: string]>(async (entries) => {
    await this.#run(() => this.#statements.enlist.run(JSON.stringify(entries)));
  });

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
    this.#database = openDatabase(path);
    this.#file = new FileIdentity(path);
    this.#statements = prepareStatements(this.#database);
    this.#notices = new ChangeNotices(this.#statements, clock);
    this.#stopSweeper = startSweeper(this.#statements.sweeps, clock);
    this.#stopCheckpoints = startCheckpoints(this.#database);
  }

  get<T>(key: Key<T>): Promise<Stored<T> | undefined> {
    return this.#runRead(() => this.#read(key));
  }

  getMany<T>(keys: readonly Key<T>[]): Promise<(Stored<T> | undefined)[]> {
    return this.#runRead(() => keys.map((key) => this.#read(key)));
  }

  async set<T>(key: Key<T>, value: T, options?: WriteOptions): Promise<void> {
    const text = JSON.stringify(value);
    await this.#run(() => this.#statements.set.run(key, text, this.#expiry(options), storedNames(options)));
  }

  create<T>(key: Key<T>, value: T, options?: WriteOptions): Promise<boolean> {
    const text = JSON.stringify(value);
    return this.#run(() => {
      const now = this.#clock.now();
      return this.#statements.create.run(key, text, this.#expiry(options), storedNames(options), now).changes === 1;
    });
  }

  replace<T>(key: Key<T>, value: T, version: number, options?: WriteOptions): Promise<boolean> {
    const text = JSON.stringify(value);
    return this.#run(() => {
      const now = this.#clock.now();
      const written = this.#statements.replace.run(
        text,
        this.#expiry(options),
        storedNames(options),
        key,
        version,
        now,
      );
      return written.changes === 1;
    });
  }

  consume<T>(key: Key<T>): Promise<Consumed> {
    return this.#run(() => {
      // Repeats only if another process clears the mark between the two statements.
      for (;;) {
        const now = this.#clock.now();
        if (this.#statements.consume.run(now, key, now).changes === 1) return { use: 'first' };
        const record = this.#read(key);
        if (record === undefined) return { use: 'absent' };
        if (record.consumedAt !== undefined) return { use: 'already', at: record.consumedAt };
      }
    });
  }

  take<T>(key: Key<T>): Promise<Stored<T> | undefined> {
    return this.#run(() => stored<T>(this.#statements.take.get(key), this.#clock.now()));
  }

  async delete<T>(key: Key<T>): Promise<boolean> {
    return (await this.take(key)) !== undefined;
  }

  members<T>(index: Index<T>, page: { after?: string; limit?: number } = {}): Promise<Page<T>> {
    const after = page.after === undefined ? { expiresAt: 0, name: '' } : decodeCursor(page.after);
    const limit = page.limit ?? PAGE;
    return this.#runRead(() => {
      const expiry = Math.min(after.expiresAt, DURABLE);
      const now = this.#clock.now();
      const rows = this.#statements.members.all({ index, expiry, name: after.name, now, limit: limit + 1 });
      const keys = rows.slice(0, limit).map((row): Key<T> => String(row['key']));
      const last = rows.length > limit ? rows[limit - 1] : undefined;
      if (last === undefined) return { keys };
      const expiresAt = last['expires_at'] === DURABLE ? Infinity : Number(last['expires_at']);
      return { keys, next: encodeCursor({ expiresAt, name: String(last['key']) }) };
    });
  }

  enlist<T>(index: Index<T>, member: Key<T>, ttl: number): Promise<void> {
    return this.#entries.add([index, this.#expiry({ ttl }), member]);
  }

  range<T>(prefix: Term<T>, { after, limit = PAGE }: { after?: string; limit?: number } = {}): Promise<TermPage<T>> {
    return this.#runRead(() => readRange(this.#statements, prefix, { after, limit }, this.#clock.now()));
  }

  increment(counter: Counter, by: number, ttl: number): Promise<number> {
    return this.#run(() => {
      const now = this.#clock.now();
      return Number(this.#statements.increment.get(counter, by, this.#expiry({ ttl }), now, now)?.['sum']);
    });
  }

  async setBits(bitmap: Bitmap, offsets: readonly number[], ttl: number): Promise<void> {
    const text = offsets.join(',');
    await this.#run(() => {
      this.#statements.setBits.run(bitmap, text, this.#expiry({ ttl }), this.#clock.now(), text);
    });
  }

  readBits(bitmap: Bitmap): Promise<Buffer> {
    return this.#runRead(() => {
      const bits = this.#statements.readBits.get(bitmap, this.#clock.now())?.['bits'];
      return bits instanceof Uint8Array ? Buffer.from(bits) : Buffer.alloc(0);
    });
  }

  publish(channel: string, message: string): Promise<void> {
    return this.#notices.publish(channel, message);
  }

  subscribe(channel: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    return this.#notices.subscribe(channel, listener);
  }

  dump(): AsyncIterable<readonly Item[]> {
    return dumpDatabase(this.#path, this.#clock.now());
  }

  async load(items: readonly Item[]): Promise<void> {
    await this.#run(() => loadItems(this.#database, this.#statements, items, this.#clock.now()));
  }

  defects({ isRepaired }: { isRepaired: boolean }): AsyncIterable<readonly Defect[]> {
    return defectsOf(this.#database, isRepaired);
  }

  time(): Promise<number> {
    return this.#run(() => Number(this.#statements.time.get()?.['time']));
  }

  async health(): Promise<void> {
    await this.#run(() => this.#statements.health.get());
  }

  close(): Promise<void> {
    this.#stopSweeper();
    this.#stopCheckpoints();
    this.#notices.stop();
    if (this.#database.isOpen) this.#database.close();
    return Promise.resolve();
  }

  /** Runs a statement that only reads. A read acknowledges nothing, so it need not check the file each time. */
  #runRead<R>(statement: () => R): Promise<R> {
    return withRetry(() => {
      const result = statement();
      this.#file.checkSometimes();
      return result;
    });
  }

  /** Runs a statement. It rejects if the file was removed or replaced, so that no lost write is acknowledged. */
  #run<R>(statement: () => R): Promise<R> {
    return withRetry(() => {
      const result = statement();
      this.#file.check();
      return result;
    });
  }

  #read<T>(key: Key<T>): Stored<T> | undefined {
    return stored<T>(this.#statements.get.get(key), this.#clock.now());
  }

  #expiry(options: WriteOptions | undefined): number {
    return options?.ttl === undefined ? DURABLE : Math.ceil(this.#clock.now() + options.ttl * 1000);
  }
}

function stored<T>(row: Record<string, SQLOutputValue> | undefined, now: number): Stored<T> | undefined {
  if (row === undefined) return undefined;
  const { value, version, consumed_at: consumedAt, expires_at: expiresAt } = row;
  if (Number(expiresAt) <= now) return undefined;
  return {
    value: JSON.parse(String(value)) as T, // only a T is written under a Key<T>
    version: Number(version),
    ...(consumedAt !== null && { consumedAt: Number(consumedAt) }),
    ...(expiresAt !== DURABLE && { expiresAt: Number(expiresAt) }),
  };
}
