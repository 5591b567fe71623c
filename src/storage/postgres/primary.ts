import type { PostgresUrl } from '../../config/store-url.ts';
import { StoreNotOpened, StoreUnavailable } from '../store.ts';
import { describeFailure, isTransient, NoPrimary, portError } from './errors.ts';
import { Server, type Read, type Rows } from './server.ts';
import type { Statement } from './statements.ts';

/** Milliseconds between two checks of each server. */
const PERIOD = 1000;
/** Milliseconds for which an answer is trusted, and so the longest time for which a deposed primary is used. */
const TRUSTED_FOR = 3000;
/** Milliseconds after a failed search for the primary during which requests fail without another search. */
const PAUSE = 100;
/** Milliseconds to wait for the answers of all servers before the primary is chosen. */
const ALL_ANSWERS_PATIENCE = 1000;
/** Longest wait for the first connection, and the pause between two attempts, in milliseconds. */
const START_PATIENCE = 5000;
const START_PAUSE = 200;

/**
 * The server in the store URL that accepts writes. A server that is in recovery or read-only is refused. A server whose
 * timeline is older than another's is refused too, because the other was promoted later. A result counts only if the
 * primary was confirmed within the last few seconds.
 */
export class Primary {
  readonly #servers: readonly Server[];
  readonly #timer: NodeJS.Timeout;
  #current: Server | undefined;
  /** The latest timeline that any server had, even if that server is now away. */
  #timeline = 0;
  #refusal: { error: StoreUnavailable; at: number } | undefined;
  #choosing: Promise<Server> | undefined;
  #isClosed = false;

  private constructor(url: PostgresUrl, isReplicated: boolean) {
    this.#servers = url.nodes.map((node) => new Server(url, node, isReplicated));
    this.#timer = setInterval(() => void this.#askAll(), PERIOD).unref();
  }

  /** @throws StoreUnavailable if no primary answers in time */
  static async connect(url: PostgresUrl, isReplicated: boolean): Promise<Primary> {
    const primary = new Primary(url, isReplicated);
    const end = performance.now() + START_PATIENCE;
    for (;;) {
      try {
        await primary.#choose();
        return primary;
      } catch (error) {
        const isOver = performance.now() > end || !primary.#servers.every((server) => isTransient(server.error));
        if (isOver) {
          await primary.close();
          throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, START_PAUSE));
      }
    }
  }

  /** Runs one statement on the primary. @returns its rows @throws StoreUnavailable */
  async run(statement: Statement, values: unknown[]): Promise<{ rows: Rows; changed: number }> {
    return this.#confirmed(async (server) => {
      const { rows, rowCount } = await server.run(statement, values);
      if (rows[0]?.['standby'] === true) throw new NoPrimary(`PostgreSQL: ${server.name} has become a replica`);
      return { rows, changed: rowCount ?? 0 };
    });
  }

  /** Runs a one-off query on the primary. @returns its rows @throws StoreUnavailable */
  read(text: string, values: unknown[] = []): Promise<Rows> {
    return this.#confirmed(async (server) => (await server.run({ name: '', text }, values)).rows);
  }

  /** Runs statements in one transaction, with a time limit in milliseconds for each. @throws StoreUnavailable */
  transaction<T>(
    patience: number,
    work: (run: (text: string, values?: unknown[]) => Promise<Rows>) => Promise<T>,
  ): Promise<T> {
    return this.#confirmed((server) => server.transaction(patience, work));
  }

  /**
   * Reads pages in one transaction, which sees the database as it was at its first statement. A page counts only if the
   * server is still the primary.
   */
  async *snapshot<T>(patience: number, pages: (read: Read) => AsyncIterable<T>): AsyncGenerator<T> {
    const server = this.#current ?? (await this.#choose());
    try {
      yield* server.snapshot(patience, (read) =>
        pages((text, values) => this.#confirmedBy(server, () => read(text, values))),
      );
    } catch (error) {
      throw portError(error);
    }
  }

  /** Checks now that the server is still the primary. @throws StoreUnavailable */
  async confirm(server: Server | undefined = this.#current): Promise<void> {
    await server?.ask();
    this.#settle();
    if (this.#current !== (await this.#choose()) || (server !== undefined && this.#current !== server)) {
      throw new NoPrimary('PostgreSQL: another server has become the primary');
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#current = undefined;
    await Promise.all(this.#servers.map((server) => server.close()));
  }

  /** Runs `work` on the primary, and returns its result only if that server is still the primary. */
  async #confirmed<T>(work: (server: Server) => Promise<T>): Promise<T> {
    return this.#confirmedBy(this.#current ?? (await this.#choose()), work);
  }

  async #confirmedBy<T>(server: Server, work: (server: Server) => Promise<T>): Promise<T> {
    try {
      const result = await work(server);
      if (this.#current !== server) throw new NoPrimary('PostgreSQL: another server has become the primary');
      if (performance.now() - (server.state?.at ?? -Infinity) > TRUSTED_FOR) await this.confirm(server);
      return result;
    } catch (error) {
      const failure = portError(error);
      if (failure instanceof StoreUnavailable && !this.#isClosed) void server.ask().then(() => this.#settle());
      throw failure;
    }
  }

  #choose(): Promise<Server> {
    if (this.#current !== undefined) return Promise.resolve(this.#current);
    const { at, error } = this.#refusal ?? { at: -Infinity, error: undefined };
    if (error !== undefined && performance.now() - at < PAUSE) return Promise.reject(error);
    this.#choosing ??= this.#find().finally(() => (this.#choosing = undefined));
    return this.#choosing;
  }

  async #find(): Promise<Server> {
    if (this.#isClosed) throw new StoreUnavailable('PostgreSQL: the store is closed');
    const all = this.#askAll();
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([all, new Promise((resolve) => (timer = setTimeout(resolve, ALL_ANSWERS_PATIENCE)))]);
    clearTimeout(timer);
    this.#settle();
    if (this.#current === undefined) await all;
    if (this.#current !== undefined) return this.#current;
    const error = this.#noPrimaryError();
    this.#refusal = { error, at: performance.now() };
    throw error;
  }

  async #askAll(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.ask().then(() => this.#settle())));
  }

  /** Chooses the primary by the servers' answers, and drops the connections to a primary that was replaced. */
  #settle(): void {
    if (this.#isClosed) return;
    const primaries = this.#servers.filter(({ state }) => state?.isPrimary === true);
    for (const { state } of primaries) this.#timeline = Math.max(this.#timeline, state?.timeline ?? 0);
    const latest = primaries.filter(({ state }) => state?.timeline === this.#timeline);
    const isOne = new Set(latest.map(({ state }) => state?.startedAt)).size === 1;
    const kept = latest.find((server) => server === this.#current) ?? latest[0];
    const next = isOne ? kept : undefined;
    if (this.#current !== undefined && this.#current !== next) this.#current.drop();
    this.#current = next;
  }

  #noPrimaryError(): StoreUnavailable {
    const where = this.#servers.map(({ name }) => name).join(', ');
    const reasons = this.#servers.map((server) => {
      const { error, state, name } = server;
      if (error !== undefined) return { error, ...describeFailure(error) };
      const isOld = (state?.timeline ?? 0) < this.#timeline;
      const reason = isOld
        ? `${name} was replaced by a server that was promoted later`
        : `${name} and another server both are primaries of timeline ${this.#timeline}`;
      return { error: undefined, ...describeFailure(new NoPrimary(reason)) };
    });
    const reasonText = [...new Set(reasons.map(({ reason }) => reason))].join('; ');
    const fix = reasons.find((one) => one.fix !== '')?.fix ?? '';
    const cause = portError(reasons[0]?.error);
    const refusal = reasons.find((one) => one.refusal !== undefined)?.refusal;
    const failure = refusal === undefined ? `no PostgreSQL at ${where}` : `PostgreSQL at ${where} ${refusal}`;
    return new StoreNotOpened(`${failure}: ${reasonText}`, fix, { cause });
  }
}
