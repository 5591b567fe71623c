import { type RedisOptions, Cluster, Redis } from 'ioredis';
import type { RedisUrl } from '../../config/store-url.ts';
import { within } from '../../lib/clock.ts';
import { StoreUnavailable } from '../store.ts';
import { PATIENCE } from './with-timeout.ts';
import type { Client } from './cluster-view.ts';
import { PrimaryWatch } from './primary-watch.ts';
import { Replication } from './replication.ts';
import { defineScripts } from './scripts.ts';
import { Sentinels } from './sentinels.ts';

/** Longest wait for the first connection in milliseconds: a start has more time than a request. */
const START_PATIENCE = 5000;
/** Milliseconds between two tries to connect again; grows to the last. */
const FIRST_RETRY = 50;
const LAST_RETRY = 500;
/** Period of re-reading a cluster's slot map in milliseconds, so that a failover is noticed without an error. */
const SLOTS_REFRESH = 5000;

/** Connections to a Redis: reads go over one connection, writes over another where they wait for replicas. */
export interface Connection {
  reader: Client;
  writer: Client;
  watch: PrimaryWatch;
  /** Only where a write is acknowledged once the replicas have it. */
  replication: Replication | undefined;
  sentinels: Sentinels | undefined;
  close(): void;
}

/** Connects, with the scripts defined. @throws StoreUnavailable when no primary answers in time */
export async function connectRedis(url: RedisUrl, isReplicated: boolean): Promise<Connection> {
  const sentinels = url.topology === 'sentinel' ? new Sentinels(url) : undefined;
  const reader = newClient(url, sentinels);
  // WAIT holds up its connection, and with it all that is read there. A cluster has a connection of its own to each node.
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
    const told = reason instanceof Error ? reason.message : 'no answer';
    throw new StoreUnavailable(`no Redis at ${where}: ${told}${fixFor(told)}`, { cause: error });
  }
}

/** Of clients that could not connect. */
const lastErrors = new WeakMap<Client, Error>();

async function connectAll(clients: readonly Client[]): Promise<void> {
  await Promise.all(clients.map((client) => client.connect()));
}

function newClient(url: RedisUrl, sentinels: Sentinels | undefined): Client {
  const client = makeClient(url, sentinels);
  defineScripts(client);
  // Without a listener each failed reconnect would be an uncaught exception. Commands report the failure themselves.
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
      // Zero: a command whose connection broke may have run, so it is not sent again.
      retryDelayOnFailover: 0,
      slotsRefreshTimeout: PATIENCE,
      slotsRefreshInterval: SLOTS_REFRESH,
    });
  }
  // Sends the commands of one event-loop turn in one write. Not on a cluster, where a moving slot fails a pipeline
  // although it would redirect single commands.
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
    // Zero: pending commands fail at once after a broken connection, and are not sent again.
    maxRetriesPerRequest: 0,
    retryStrategy: retryDelay,
    // A master that became a replica refuses writes: reconnect to the new one, and send the refused write again.
    reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? 2 : false),
  } satisfies RedisOptions;
}

function retryDelay(tries: number): number {
  return Math.min(tries * FIRST_RETRY, LAST_RETRY);
}

/** The remedies for answers to a wrong store URL. */
function fixFor(told: string): string {
  if (/WRONGPASS|NOAUTH|invalid (username-)?password/i.test(told))
    return '. Its user or password is wrong or missing: give the whole URL by LATCHKEY_STORE, redis://USER:PASSWORD@HOST';
  if (/ECONNREFUSED|ENOTFOUND|EAI_AGAIN|no answer/.test(told))
    return '. Start it, or mend the host and port in the store URL';
  return '';
}
