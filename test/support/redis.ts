import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';

export interface RedisOfTests {
  /** The store URL that reaches it. */
  url: string;
  /** The server; of a cluster or a Sentinel set, its first. */
  process: ChildProcess;
  stop: () => Promise<void>;
}

export interface Settings {
  appendonly?: boolean;
  /** The `maxmemory-policy`. */
  policy?: string;
  /** A fixed port, in order to start again where another one was. */
  port?: number;
  password?: string;
  extra?: string[];
}

export interface Server {
  port: number;
  process: ChildProcess;
  stop: () => Promise<void>;
}

export const HOST = '127.0.0.1';
const SLOTS = 16_384;
/** For a change of servers on a busy machine, in milliseconds. */
const PATIENCE = 60_000;

/** One Redis, with nothing on disk unless asked. */
export async function startRedis(settings: Settings = {}): Promise<RedisOfTests> {
  const server = await startServer(settings);
  const userinfo = settings.password === undefined ? '' : `:${settings.password}@`;
  return { url: `redis://${userinfo}${HOST}:${server.port}`, process: server.process, stop: server.stop };
}

export interface ClusterOfTests extends RedisOfTests {
  readonly servers: readonly Server[];
}

/** A cluster of three masters, each with a third of the slots. */
export async function startRedisCluster(settings: Pick<Settings, 'appendonly'> = {}): Promise<ClusterOfTests> {
  const servers = await Promise.all([0, 1, 2].map(() => startClusterNode(settings)));
  const [first, ...others] = servers;
  if (first === undefined) throw new Error('no server');
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    await Promise.all(
      servers.map((server, at) => command(server.port, (client) => assignSlots(client, at, servers.length))),
    );
    await command(first.port, async (client) => {
      for (const { port } of others) await client.call('CLUSTER', ['MEET', HOST, port, busOf(port)]);
    });
    await Promise.all(servers.map(({ port }) => until(port, clusterIsComplete(servers.length))));
  } catch (error) {
    await stop();
    throw error;
  }
  const hosts = servers.map(({ port }) => `${HOST}:${port}`).join(',');
  return { url: `redis+cluster://${hosts}`, process: first.process, servers, stop };
}

/** By default the nodes would talk 10,000 ports above, where the system takes its own for outgoing connections. */
export const busOf = (port: number): number => port + 1;

export async function startClusterNode(settings: Settings): Promise<Server> {
  const port = await freePort(2);
  const extra = ['--cluster-enabled', 'yes', '--cluster-port', String(busOf(port)), ...(settings.extra ?? [])];
  return startServer({ ...settings, port, extra });
}

/** A master, and one Sentinel that watches it. */
export async function startSentinel(): Promise<RedisOfTests> {
  const master = await startServer({});
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-sentinel-'));
  const file = join(folder, 'sentinel.conf');
  await writeFile(file, `sentinel monitor latchkey ${HOST} ${master.port} 1\n`);
  const sentinel = await startServer({ extra: [] }, [file, '--sentinel']);
  return {
    url: `redis+sentinel://${HOST}:${sentinel.port}/latchkey`,
    process: master.process,
    stop: async () => {
      await Promise.all([master.stop(), sentinel.stop()]);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

export async function startServer(settings: Settings, before: string[] = []): Promise<Server> {
  const port = settings.port ?? (await freePort());
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-redis-'));
  const process = spawn('redis-server', [...before, ...optionsOf(settings, port, folder)], { stdio: 'ignore' });
  const failed = new Promise<never>((_resolve, reject) => {
    process.once('error', () => {
      reject(
        new Error('redis-server is not installed: the tests need Redis 7 or newer (apt-get install redis-server)'),
      );
    });
    process.once('exit', (code) => {
      reject(new Error(`redis-server ended with ${code}`));
    });
  });
  failed.catch(() => undefined);
  const stop = async () => {
    if (process.exitCode === null && process.signalCode === null && process.pid !== undefined) {
      const ended = once(process, 'exit');
      process.kill('SIGKILL');
      await ended;
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await Promise.race([failed, until(port, answers, settings.password)]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, process, stop };
}

function optionsOf(settings: Settings, port: number, folder: string): string[] {
  return [
    ...['--port', String(port), '--bind', HOST, '--dir', folder, '--save', ''],
    ...['--appendonly', settings.appendonly === true ? 'yes' : 'no'],
    ...['--maxmemory-policy', settings.policy ?? 'noeviction'],
    ...(settings.password === undefined ? [] : ['--requirepass', settings.password]),
    ...(settings.extra ?? []),
  ];
}

export async function command<T>(port: number, work: (client: Redis) => Promise<T>, password = ''): Promise<T> {
  const client = new Redis({ host: HOST, port, password, lazyConnect: true, retryStrategy: () => null });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    client.disconnect();
  }
}

/** Asks again and again until the server says yes. */
export async function until(
  port: number,
  condition: (client: Redis) => Promise<boolean>,
  password?: string,
): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (performance.now() < end) {
    if (await command(port, condition, password).catch(() => false)) return;
    await sleep(50);
  }
  throw new Error(`the Redis at port ${port} is not ready after ${PATIENCE} ms`);
}

async function answers(client: Redis): Promise<boolean> {
  await client.ping();
  return true;
}

export function clusterIsComplete(size: number): (client: Redis) => Promise<boolean> {
  return async (client) => {
    const facts = await client.cluster('INFO');
    return facts.includes('cluster_state:ok') && facts.includes(`cluster_known_nodes:${size}`);
  };
}

async function assignSlots(client: Redis, at: number, of: number): Promise<void> {
  const first = Math.floor((SLOTS * at) / of);
  const last = Math.floor((SLOTS * (at + 1)) / of) - 1;
  await client.call('CLUSTER', ['ADDSLOTSRANGE', first, last]);
  // Servers that meet with the same epoch would first have to agree on one.
  await client.call('CLUSTER', ['SET-CONFIG-EPOCH', at + 1]);
}
