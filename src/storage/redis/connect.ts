import { type RedisOptions, Cluster, Redis } from 'ioredis';
import type { RedisUrl } from '../../config/store-url.ts';
import { within } from '../../lib/clock.ts';
import { StoreNotOpened } from '../store.ts';
import { PATIENCE } from './with-timeout.ts';
import type { Client } from './cluster-view.ts';
import { PrimaryWatch } from './primary-watch.ts';
import { Replication } from './replication.ts';
import { defineScripts } from './scripts.ts';
import { Sentinels } from './sentinels.ts';

/** Longest wait for the first connection in milliseconds. A start may wait longer than a request. */
const START_PATIENCE = 5000;
/** Milliseconds between two attempts to reconnect: the first pause and the longest one. */
const FIRST_RETRY = 50;
const LAST_RETRY = 500;
/**
 * Period in milliseconds in which a cluster's slot map is read again, so that a failover is noticed without an error.
 */
const SLOTS_REFRESH = 5000;

/** Connections to a Redis. If writes wait for replicas, `writer` is a separate connection, except on a cluster. */
export interface Connection {
  reader: Client;
  writer: Client;
  watch: PrimaryWatch;
  /** Present if a write is acknowledged only once the replicas have it. */
  replication: Replication | undefined;
  sentinels: Sentinels | undefined;
  close(): void;
}

/** Connects, and defines the scripts. @throws StoreNotOpened if no primary answers in time */
export async function connectRedis(url: RedisUrl, isReplicated: boolean): Promise<Connection> {
  const sentinels = url.topology === 'sentinel' ? new Sentinels(url) : undefined;
  const reader = newClient(url, sentinels);
  // WAIT blocks its connection, so reads use another one. A cluster client has only one connection to each node.
  const writer = isReplicated && reader instanceof Redis ? newClient(url, sentinels) : reader;
  const clients = [...new Set([reader, writer])];
  const watch = new PrimaryWatch(clients, sentinels);
  const close = (): void => {
    watch.close();
    for (const client of clients) client.disconnect();
    sentinels?.close();
  };
  try {
    const connected = connectAll(clients).then(() => watch.confirm());
    await within(START_PATIENCE, connected, () => new Error('no answer'));
    const replication = isReplicated ? new Replication(writer, watch) : undefined;
    return { reader, writer, watch, replication, sentinels, close };
  } catch (error) {
    close();
    const where = url.nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
    const reason = clients.map((client) => lastErrors.get(client)).find((one) => one !== undefined) ?? error;
    const { failure, fix } = describeFailure(reason, where);
    throw new StoreNotOpened(failure, fix, { cause: error });
  }
}

/** The latest connection error of each client. */
const lastErrors = new WeakMap<Client, Error>();

async function connectAll(clients: readonly Client[]): Promise<void> {
  await Promise.all(clients.map((client) => client.connect()));
}

function newClient(url: RedisUrl, sentinels: Sentinels | undefined): Client {
  const client = makeClient(url, sentinels);
  defineScripts(client);
  // Without a listener, each failed reconnect would be an uncaught exception. Commands report the failure.
  client.on('error', (error: Error) => void lastErrors.set(client, error));
  return client;
}

function makeClient(url: RedisUrl, sentinels: Sentinels | undefined): Client {
  const options = connectionOptions(url);
  if (url.topology === 'cluster') {
    return new Cluster(url.nodes, {
      lazyConnect: true,
      redisOptions: options,
      clusterRetryStrategy: retryDelay,
      // Zero, because a command whose connection broke may have run. It must not be sent again.
      retryDelayOnFailover: 0,
      slotsRefreshTimeout: PATIENCE,
      slotsRefreshInterval: SLOTS_REFRESH,
    });
  }
  // Auto-pipelining sends the commands of one event-loop tick in one write. A cluster is excluded: a slot that moves
  // fails a whole pipeline, but only redirects a single command.
  const pipelined = { ...options, enableAutoPipelining: true };
  if (sentinels !== undefined) return new Redis({ ...pipelined, Connector: sentinels.connector() });
  return new Redis({ ...pipelined, ...url.nodes[0] });
}

function connectionOptions(url: RedisUrl) {
  return {
    lazyConnect: true,
    db: url.db,
    ...(url.username !== undefined && { username: url.username }),
    ...(url.password !== undefined && { password: url.password }),
    ...(url.tls && { tls: {} }),
    connectTimeout: PATIENCE,
    socketTimeout: PATIENCE,
    // Zero: when the connection breaks, pending commands fail at once and are not sent again.
    maxRetriesPerRequest: 0,
    retryStrategy: retryDelay,
    // A master that became a replica refuses writes. The client then connects to the new master and sends the refused
    // write again.
    reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? 2 : false),
  } satisfies RedisOptions;
}

function retryDelay(tries: number): number {
  return Math.min(tries * FIRST_RETRY, LAST_RETRY);
}

/** Describes why the connection failed, and the remedy if there is one. Only a server that does not answer is missing. */
function describeFailure(error: unknown, where: string): { failure: string; fix: string } {
  const message = messageOf(error).replace(/\.$/, '');
  if (message.includes('NOAUTH')) {
    return {
      failure: `Redis at ${where} requires a password (NOAUTH)`,
      fix: 'Give it in STORE_URL: redis://USER:PASSWORD@HOST',
    };
  }
  if (/WRONGPASS|invalid (username-)?password/i.test(message)) {
    return {
      failure: `Redis at ${where} refuses the user or password (WRONGPASS)`,
      fix: 'Correct them in STORE_URL: redis://USER:PASSWORD@HOST',
    };
  }
  if (UNREACHABLE.test(message))
    return { failure: `no Redis at ${where}: ${message}`, fix: 'Start it, or correct the host and port in STORE_URL' };
  return { failure: `Redis at ${where} cannot be used: ${message}`, fix: '' };
}

const UNREACHABLE =
  /ECONN|ENOTFOUND|EAI_AGAIN|UNREACH|ETIMEDOUT|no answer|has not answered|Connection is closed|refresh slots cache/i;

/** Returns the message of an error. A cluster client hides the error of the node that it asked last. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer';
  const inner = 'lastNodeError' in error ? error.lastNodeError : undefined;
  return inner instanceof Error ? inner.message : error.message;
}
