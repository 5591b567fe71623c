import { Pool, type Client, type ClientBase, type ClientConfig, type PoolClient, type QueryResult } from 'pg';
import type { PostgresUrl, StoreNode } from '../../config/store-url.ts';
import { StoreUnavailable } from '../store.ts';
import { connected, connectionOptions } from './connection.ts';
import { NoPrimary, PATIENCE } from './errors.ts';
import type { Statement } from './statements.ts';

export type Rows = Record<string, unknown>[];
/** Runs one query. */
export type Read = (text: string, values?: unknown[]) => Promise<Rows>;

/** A server's answer about its own state. */
interface ServerState {
  isPrimary: boolean;
  /** Grows with each promotion, so it tells which of two primaries was promoted later. */
  timeline: number;
  /** Start time of the server. It differs between two servers, and is equal for one server behind two poolers. */
  startedAt: string;
  /** The time at which the server was asked, by `performance.now()`. */
  at: number;
}

/** Longest wait for a lock, and longest idle time of a transaction, in milliseconds. */
const LOCK_PATIENCE = 1500;
const IDLE_IN_TRANSACTION = 10_000;
/** The same for a snapshot in milliseconds, whose reader may write to a slow disk. */
const IDLE_IN_SNAPSHOT = 300_000;
/** Number of times that a statement waits for a free connection, if the server answers. */
const CROWDED_TRIES = 3;
/** Milliseconds after which an unused connection is closed. */
const IDLE = 60_000;

const STATE = `
  SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS standby,
    CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS timeline,
    extract(epoch FROM pg_postmaster_start_time())::text AS started_at`;

/**
 * Query that prepares a new session. It changes no settings through a pooler, because the next client on the pooler's
 * connection would inherit them. It recognises a pooler by the process id, which is not the server's.
 *
 * It limits the search for names to `pg_catalog`. Otherwise the store could run a function or an operator that another
 * role made in `public`, if its types fit better (CVE-2018-1058).
 */
const SESSION = `
  SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS standby,
    current_setting('synchronous_standby_names') <> '' AND current_setting('synchronous_commit') IN ('on', 'remote_apply')
      AS replicated,
    pg_backend_pid() = $1::integer AS direct,
    CASE WHEN pg_backend_pid() = $1::integer THEN
      set_config('statement_timeout', '${PATIENCE}', false) || set_config('lock_timeout', '${LOCK_PATIENCE}', false) ||
      set_config('idle_in_transaction_session_timeout', '${IDLE_IN_TRANSACTION}', false) ||
      set_config('default_transaction_isolation', 'read committed', false) ||
      set_config('client_min_messages', 'warning', false) || set_config('search_path', 'pg_catalog', false)
    END`;

/** One server of the store URL, with connections for statements, and one connection that asks for its state. */
export class Server {
  readonly name: string;
  readonly #options: ClientConfig;
  readonly #size: number;
  readonly #isReplicated: boolean;
  #pool: Pool | undefined;
  #asking: Promise<void> | undefined;
  #asker: Client | undefined;
  #isClosed = false;
  readonly #direct = new WeakSet<ClientBase>();
  readonly #unconfirmed = new WeakSet<ClientBase>();
  state: ServerState | undefined;
  error: unknown;

  constructor(url: PostgresUrl, node: StoreNode, isReplicated: boolean) {
    this.name = `${node.host}:${node.port}`;
    this.#options = connectionOptions(url, node);
    this.#size = url.pool;
    this.#isReplicated = isReplicated;
  }

  /** Asks the server for its state, on a connection that no statement blocks. */
  ask(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async run({ name, text }: Statement, values: unknown[]): Promise<QueryResult<Record<string, unknown>>> {
    return this.#with((client) =>
      // A pooler may run each transaction in another process, which lacks the prepared statements.
      client.query(this.#direct.has(client) ? { name, text, values } : { text, values }),
    );
  }

  /** Runs statements in one transaction. @param patience the time limit for each statement, in milliseconds */
  async transaction<T>(
    patience: number,
    work: (run: (text: string, values?: unknown[]) => Promise<Rows>) => Promise<T>,
  ) {
    return this.#with(async (client) => {
      const run = async (text: string, values?: unknown[]): Promise<Rows> =>
        // The client's types lack the timeout of a single statement.
        (await client.query<Record<string, unknown>>(Object.assign({ text, values }, { query_timeout: patience })))
          .rows;
      await run('BEGIN');
      await run(`SET LOCAL statement_timeout = ${patience}`);
      await run(`SET LOCAL lock_timeout = ${patience}`);
      const result = await work(run);
      await run('COMMIT');
      return result;
    });
  }

  /** Reads pages in one read-only transaction, which sees the database as it was at its first statement. */
  async *snapshot<T>(patience: number, pages: (read: Read) => AsyncIterable<T>): AsyncGenerator<T> {
    this.#pool ??= this.#newPool();
    const client = await this.#checkOut(this.#pool);
    let isWhole = false;
    try {
      const read: Read = async (text, values = []) =>
        (await client.query<Record<string, unknown>>(Object.assign({ text, values }, { query_timeout: patience })))
          .rows;
      await read('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      await read(`SET LOCAL statement_timeout = ${patience}`);
      await read(`SET LOCAL idle_in_transaction_session_timeout = ${IDLE_IN_SNAPSHOT}`);
      yield* pages(read);
      await read('COMMIT');
      isWhole = true;
    } finally {
      // If the caller has stopped early, closing the connection ends the transaction.
      client.release(!isWhole);
    }
  }

  /** Closes all connections, busy ones once their statement ends. `Primary` then rejects that statement. */
  drop(): void {
    const pool = this.#pool;
    this.#pool = undefined;
    void pool?.end().catch(() => undefined);
  }

  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    this.#isClosed = true;
    await Promise.allSettled([pool?.end() ?? Promise.resolve(), this.#asker?.end() ?? Promise.resolve()]);
  }

  /** Runs work on a connection of the pool. A connection on which a statement failed is not reused. */
  async #with<T>(work: (client: ClientBase) => Promise<T>): Promise<T> {
    this.#pool ??= this.#newPool();
    const client = await this.#checkOut(this.#pool);
    try {
      const result = await work(client);
      if (this.#unconfirmed.has(client))
        throw new StoreUnavailable('PostgreSQL: the replicas have not confirmed the write');
      client.release();
      return result;
    } catch (error) {
      client.release(true);
      throw error;
    }
  }

  /**
   * Waits for a connection. If all are busy and the server answers, it waits longer, because nothing has been sent yet.
   */
  async #checkOut(pool: Pool): Promise<PoolClient> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await pool.connect();
      } catch (error) {
        const isCrowded = error instanceof Error && error.message.startsWith('timeout exceeded');
        const isAnswering = performance.now() - (this.state?.at ?? -Infinity) <= PATIENCE;
        if (!isCrowded || !isAnswering || tries === CROWDED_TRIES) throw error;
      }
    }
  }

  #newPool(): Pool {
    // The pool waits for the returned promise; its types do not say so.
    const onConnect: (client: ClientBase) => unknown = (client) => this.#prepare(client);
    const pool = new Pool({ ...this.#options, max: this.#size, idleTimeoutMillis: IDLE, onConnect });
    // If an idle connection breaks, the pool opens another.
    pool.on('error', () => undefined);
    return pool;
  }

  async #prepare(client: ClientBase): Promise<void> {
    // If a connection breaks in use, its statement fails, and this listener has nothing to add.
    client.on('error', () => undefined);
    client.on('notice', ({ code }) => {
      // PostgreSQL reports a cancelled wait for the replicas only as a warning (01000), and the commit as successful.
      if (code === '01000') this.#unconfirmed.add(client);
    });
    const { rows } = await client.query<Record<string, unknown>>(SESSION, [processOf(client)]);
    const { standby, replicated, direct } = rows[0] ?? {};
    if (standby !== false) throw new NoPrimary(`PostgreSQL: ${this.name} is a replica or is read-only`);
    if (this.#isReplicated && replicated !== true)
      throw new StoreUnavailable(`PostgreSQL: ${this.name} ${NOT_REPLICATED}`);
    if (direct === true) this.#direct.add(client);
  }

  async #ask(): Promise<void> {
    const at = performance.now();
    try {
      this.#asker ??= await connected(this.#options);
      const client = this.#asker;
      if (this.#isClosed) throw new StoreUnavailable('PostgreSQL: the store is closed');
      const { rows } = await client.query<Record<string, unknown>>(STATE);
      const { standby, timeline, started_at: startedAt } = rows[0] ?? {};
      const isPrimary = standby === false;
      this.state = {
        isPrimary,
        timeline: Number.parseInt(String(timeline), 16) || 0,
        startedAt: String(startedAt),
        at,
      };
      this.error = isPrimary ? undefined : new NoPrimary(`PostgreSQL: ${this.name} is a replica or is read-only`);
    } catch (error) {
      this.state = undefined;
      this.error = error;
      const asker = this.#asker;
      this.#asker = undefined;
      void asker?.end().catch(() => undefined);
    }
  }
}

export const NOT_REPLICATED =
  'does not wait for a replica, although stores.durability is replicated: set synchronous_standby_names, and ' +
  'synchronous_commit to on or remote_apply, in postgresql.conf';

/** Returns the process id that the server reported when the connection began. A pooler reports its own. */
function processOf(client: ClientBase): number {
  return 'processID' in client && typeof client.processID === 'number' ? client.processID : 0;
}
