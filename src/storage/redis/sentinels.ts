import { connect as connectPlain, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, Redis, type RedisOptions } from 'ioredis';
import type { RedisUrl } from '../../config/store-url.ts';
import { StoreUnavailable } from '../store.ts';

/** Host and port, as the Sentinels report them. */
interface Address {
  host: string;
  port: number;
}

/** One Sentinel's view of the primary that it watches. */
interface SentinelView {
  primary: Address;
  /** Grows with every failover; the Sentinels elect a leader for each. */
  epoch: number;
  /** True if this Sentinel cannot reach the primary. */
  isDown: boolean;
  /** The number of Sentinels that must agree that the primary is down. */
  quorum: number;
  otherSentinels: number;
  /** The replicas that this Sentinel knows: the address of each, and the milliseconds for which it has been down. */
  replicas: Map<string, number>;
}

/** Milliseconds after which writes no longer wait for an unreachable replica. */
const UNREACHABLE_AFTER = 5_000;

/** Milliseconds that a Sentinel may take to answer. */
const PATIENCE = 1000;

const RETRY = 500;

/** Milliseconds that a connection may take to close before it is destroyed. */
const CLOSE_PATIENCE = 2000;

/** A connection to a server, and the server's address as the Sentinels named it. */
interface OpenConnection {
  address: Address;
  end: () => void;
}

/**
 * The Sentinels of a primary. Every connection leads to the primary that they name, and is closed when they name
 * another. A primary that is cut off from its Sentinels does not know that it was deposed, and still answers.
 */
export class Sentinels {
  readonly #name: string;
  readonly #sentinels: Redis[];
  readonly #listeners: Redis[];
  readonly #tls: boolean;
  readonly #open = new Set<OpenConnection>();
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

  /** The number of Sentinels that the store URL names, and the number that the Sentinels report. */
  get counts(): { named: number; known: number } {
    return {
      named: this.#sentinels.length,
      known: Math.max(0, ...this.#views.map(({ otherSentinels }) => otherSentinels + 1)),
    };
  }

  /** The number of replicas that must have a write before it is safe, by the Sentinels' latest answers. */
  get neededReplicas(): number {
    return this.#views.length === 0 ? Infinity : neededReplicas(this.#views, this.#sentinels.length);
  }

  /** Tells whether the Sentinels know of any replica. */
  get hasReplicas(): boolean {
    return this.#views.some(({ replicas }) => replicas.size > 0);
  }

  /**
   * Asks all Sentinels for the primary; concurrent callers share one round. Ends the connections to any other server.
   * @throws StoreUnavailable
   */
  primary(): Promise<Address> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  /** Returns a connector class with which a client opens each of its connections to the current primary. */
  connector(): new (options: unknown) => AbstractConnector {
    const openToPrimary = () => this.#openToPrimary();
    return class extends AbstractConnector {
      constructor(_options: unknown) {
        super(CLOSE_PATIENCE);
      }

      async connect(): Promise<AbstractConnector['stream']> {
        this.connecting = true;
        delete this.firstError;
        try {
          this.stream = await openToPrimary();
          this.stream.once('error', (error: Error) => (this.firstError = error));
        } catch (error) {
          // A rejection would end the client. A broken connection makes it connect again.
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

  /** Follows the failovers that the Sentinels announce. `PrimaryWatch` notices a lost announcement within a second. */
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
    // `fields` expects the flat lists of RESP2.
    protocol: 2,
    connectTimeout: PATIENCE,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    retryStrategy: () => RETRY,
    ...(tls && { tls: {} }),
  } satisfies RedisOptions;
}

/**
 * Adds an error listener. Without one, each failed attempt to connect would be an uncaught exception. Requests report
 * the failure.
 */
function quiet(client: Redis): Redis {
  return client.on('error', () => undefined);
}

/** Reads the answers to `SENTINEL GET-MASTER-ADDR-BY-NAME`, `MASTER` and `REPLICAS`. */
function readView([address, master, replicas]: readonly unknown[]): SentinelView {
  const [host, port] = strings(address);
  if (host === undefined || port === undefined) throw new Error('a Sentinel does not know the primary');
  const facts = fields(master);
  return {
    primary: { host, port: Number(port) },
    epoch: Number(facts['config-epoch']),
    isDown: isDown(facts),
    quorum: Number(facts['quorum']),
    otherSentinels: Number(facts['num-other-sentinels']),
    replicas: new Map((Array.isArray(replicas) ? replicas : []).map((one: unknown) => replicaIn(fields(one)))),
  };
}

/**
 * Returns the primary that the Sentinels name. A majority of them must answer, and all that have the latest epoch must
 * agree. A Sentinel that was cut off still names the former primary, but with an older epoch.
 * @param all the number of Sentinels
 */
function namedPrimary(views: readonly SentinelView[], all: number): Address {
  if (views.length * 2 <= all) throw new Error(`${views.length} of ${all} Sentinels answer`);
  const latest = Math.max(...views.map(({ epoch }) => epoch));
  const [first, ...others] = views.filter(({ epoch }) => epoch === latest).map(({ primary }) => primary);
  if (first === undefined || others.some((other) => !isSame(first, other))) {
    throw new Error('the Sentinels are moving to another primary');
  }
  return first;
}

/**
 * Returns the number of replicas that must have a write before no failover can lose it: all that could be promoted. It
 * is Infinity while the Sentinels may be about to replace the primary, because then no number is enough.
 */
function neededReplicas(views: readonly SentinelView[], all: number): number {
  const down = views.filter((view) => view.isDown).length;
  const quorum = Math.min(...views.map((view) => view.quorum));
  // A Sentinel that does not answer may see the primary as down, too.
  if (down > 0 && down + all - views.length >= quorum) return Infinity;
  const known = new Set(views.flatMap(({ replicas }) => [...replicas.keys()]));
  const isGone = (replica: string): boolean =>
    views.every(({ replicas }) => (replicas.get(replica) ?? UNREACHABLE_AFTER) >= UNREACHABLE_AFTER);
  return Math.max(1, [...known].filter((replica) => !isGone(replica)).length);
}

function isSame(one: Address, other: Address): boolean {
  return one.host === other.host && one.port === other.port;
}

function replicaIn(facts: Record<string, string>): [address: string, downFor: number] {
  const downFor = isDown(facts) ? Number(facts['s-down-time'] ?? 0) : 0;
  return [`${facts['ip'] ?? ''} ${facts['port'] ?? ''}`, downFor];
}

function isDown({ flags = '' }: Record<string, string>): boolean {
  return /\b[so]_down\b/.test(flags);
}

function strings(answer: unknown): string[] {
  return Array.isArray(answer) ? answer.map(String) : [];
}

/** Converts a flat list of names and values, as in RESP2, to an object. */
function fields(answer: unknown): Record<string, string> {
  const flat = strings(answer);
  return Object.fromEntries(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? '']] : [])));
}
