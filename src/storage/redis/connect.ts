import type { RedisOptions } from 'ioredis';
import { Cluster, Redis } from 'ioredis';
import type { RedisUrl } from '../../config/store-url.ts';
import { StoreUnavailable } from '../store.ts';
import { PATIENCE } from './answered.ts';
import { defineScripts } from './scripts.ts';

export type Client = Redis | Cluster;

/** How long the first connection may take, in milliseconds: a start has more time than a request. */
const START_PATIENCE = 5000;
/** Milliseconds between two tries to connect again; grows to the last. */
const FIRST_RETRY = 50;
const LAST_RETRY = 500;
/** How often a cluster's map of slots is read again, in milliseconds, so that a failover is found without an error. */
const SLOTS_REFRESH = 5000;

/** Connects, with the scripts defined. @throws StoreUnavailable when no server answers in time */
export async function connectRedis(url: RedisUrl): Promise<Client> {
  const client = makeClient(url);
  defineScripts(client);
  let last: Error | undefined;
  // Without a listener each failed try to reconnect would be an uncaught exception; the commands themselves fail with
  // the reason, and that is where it is told.
  client.on('error', (error: Error) => (last = error));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(reject, START_PATIENCE, new Error('no answer'));
  });
  try {
    await Promise.race([client.connect(), late]);
    return client;
  } catch (error) {
    client.disconnect();
    const where = url.nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
    const reason = last ?? error;
    throw new StoreUnavailable(`no Redis at ${where}: ${reason instanceof Error ? reason.message : 'no answer'}`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

function makeClient(url: RedisUrl): Client {
  const options = connectionOptions(url);
  if (url.topology === 'cluster') {
    return new Cluster(url.nodes, {
      lazyConnect: true,
      redisOptions: options,
      clusterRetryStrategy: retryDelay,
      // Zero: a command whose connection broke may have been done and is not sent again.
      retryDelayOnFailover: 0,
      slotsRefreshTimeout: PATIENCE,
      slotsRefreshInterval: SLOTS_REFRESH,
    });
  }
  // Commands of one turn of the event loop go out in one write. Not on a cluster, where a pipeline that meets a slot on
  // the move fails for the commands that a lone one would have been redirected for.
  const pipelined = { ...options, enableAutoPipelining: true };
  if (url.sentinel !== undefined) {
    return new Redis({
      ...pipelined,
      sentinels: url.nodes,
      name: url.sentinel,
      sentinelRetryStrategy: retryDelay,
      enableTLSForSentinelMode: url.tls,
      ...(url.tls && { sentinelTLS: {} }),
    });
  }
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
    // Zero: when the connection breaks, what waits for an answer fails at once instead of being sent again.
    maxRetriesPerRequest: 0,
    retryStrategy: retryDelay,
    // A master that became a replica refuses writes: look for the new one, and send again what was refused.
    reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? 2 : false),
  } satisfies RedisOptions;
}

function retryDelay(tries: number): number {
  return Math.min(tries * FIRST_RETRY, LAST_RETRY);
}
