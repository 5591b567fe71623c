import { connect as connectPlain, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, Redis, type RedisOptions } from 'ioredis';
import type { RedisUrl } from '../../config/store-url.ts';
import { StoreUnavailable } from '../store.ts';
import { isSame, namedPrimary, neededReplicas, readView, type Address, type SentinelView } from './sentinel-view.ts';

/** Milliseconds that a Sentinel may take to answer. */
const PATIENCE = 1000;
const RETRY = 500;
/** Milliseconds for which a connection that ends may stay half open. */
const ENDING = 2000;

/** A connection to a server, and the address by which the Sentinels named it. */
interface Open {
  address: Address;
  end: () => void;
}

/**
 * The Sentinels of a primary. Every connection goes to the primary that they name, and closes when they name another: a
 * primary cut off from its Sentinels does not know that it was deposed, and still answers.
 */
export class Sentinels {
  readonly #name: string;
  readonly #sentinels: Redis[];
  readonly #listeners: Redis[];
  readonly #tls: boolean;
  readonly #open = new Set<Open>();
  #views: SentinelView[] = [];
  #asking: Promise<Address> | undefined;

  constructor({ nodes, sentinel = '', tls }: RedisUrl) {
    this.#name = sentinel;
    this.#tls = tls;
    const options = sentinelOptions(tls);
    this.#sentinels = nodes.map((node) => quiet(new Redis({ ...options, ...node, commandTimeout: PATIENCE })));
    this.#listeners = nodes.map((node) => quiet(new Redis({ ...options, ...node })));
    for (const listener of this.#listeners) this.#follow(listener);
  }

  /** Their number by the URL, and by their own account. */
  get counts(): { named: number; known: number } {
    return {
      named: this.#sentinels.length,
      known: Math.max(0, ...this.#views.map(({ otherSentinels }) => otherSentinels + 1)),
    };
  }

  /** The number of replicas that must have a write before it is safe, as of the last time that the Sentinels were asked. */
  get neededReplicas(): number {
    return this.#views.length === 0 ? Infinity : neededReplicas(this.#views, this.#sentinels.length);
  }

  /** Tells whether the Sentinels know of any replica. */
  get hasReplicas(): boolean {
    return this.#views.some(({ replicas }) => replicas.size > 0);
  }

  /** Asks all of them; of many who ask at once, one does. Ends the connections to any other server. @throws StoreUnavailable */
  primary(): Promise<Address> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  /** Opens connections to the primary, for a client that asks for one each time it connects. */
  connector(): new (options: unknown) => AbstractConnector {
    const openToPrimary = () => this.#openToPrimary();
    return class extends AbstractConnector {
      constructor(_options: unknown) {
        super(ENDING);
      }

      async connect(): Promise<AbstractConnector['stream']> {
        this.connecting = true;
        delete this.firstError;
        try {
          this.stream = await openToPrimary();
          this.stream.once('error', (error: Error) => (this.firstError = error));
        } catch (error) {
          // A rejection would be the client's end; it tries again after a connection that broke.
          this.stream = new Socket();
          this.stream.destroy();
          if (error instanceof Error) this.firstError = error;
        }
        return this.stream;
      }
    };
  }

  close(): void {
    for (const client of [...this.#sentinels, ...this.#listeners]) client.disconnect();
  }

  async #ask(): Promise<Address> {
    const answers = await Promise.allSettled(this.#sentinels.map((sentinel) => this.#view(sentinel)));
    const views = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    this.#views = views;
    try {
      const primary = namedPrimary(views, this.#sentinels.length);
      for (const { address, end } of this.#open) if (!isSame(address, primary)) end();
      return primary;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new StoreUnavailable(`Redis: ${reason}${firstFailure(answers)}`, { cause: error });
    }
  }

  async #view(sentinel: Redis): Promise<SentinelView> {
    const ask = (question: string) => sentinel.call('SENTINEL', [question, this.#name]);
    return readView(await Promise.all(['GET-MASTER-ADDR-BY-NAME', 'MASTER', 'REPLICAS'].map(ask)));
  }

  async #openToPrimary() {
    const address = await this.primary();
    const stream = this.#tls ? connectTls(address) : connectPlain(address);
    const open = { address, end: () => void stream.destroy() };
    this.#open.add(open);
    stream.once('close', () => this.#open.delete(open));
    return stream;
  }

  /** A failover is told at once; those who miss it ask every second. */
  #follow(listener: Redis): void {
    listener.on('message', () => void this.primary().catch(() => undefined));
    listener.on('ready', () => void listener.subscribe('+switch-master').catch(() => undefined));
  }
}

function firstFailure(answers: readonly PromiseSettledResult<unknown>[]): string {
  const failed = answers.find((answer) => answer.status === 'rejected');
  return failed?.reason instanceof Error ? `: ${failed.reason.message}` : '';
}

function sentinelOptions(tls: boolean) {
  return {
    // Answers are read as flat lists.
    protocol: 2,
    connectTimeout: PATIENCE,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    retryStrategy: () => RETRY,
    ...(tls && { tls: {} }),
  } satisfies RedisOptions;
}

/** Without a listener each failed try to connect would be an uncaught exception; asking fails with the reason. */
function quiet(client: Redis): Redis {
  return client.on('error', () => undefined);
}
