import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, HOST, startServer, until, type RedisOfTests, type Server } from './redis.ts';

/** The users as which Sentinels and replicas reach a server. */
const SENTINEL = 'sentinel';
const REPLICA = 'replica';
/** Of everybody. Without one, a Sentinel that is refused would go on as anybody. */
export const PASSWORD = 'pass';
const ALL = ['on', `>${PASSWORD}`, '~*', '&*', '+@all'];

export interface SentinelSet extends RedisOfTests {
  /** The first is the primary at the start. */
  readonly servers: readonly Server[];
  readonly sentinels: readonly Server[];
  /** The port of the primary that a Sentinel names. */
  primary(sentinel?: Server): Promise<number>;
  /** Has the Sentinels, and the replicas if so wanted, reach a server no more, while clients do. */
  cut(server: Server, from?: { replicas: boolean }): Promise<void>;
  heal(server: Server): Promise<void>;
  /** A failover that nothing but the operator is the reason for. */
  failover(): Promise<void>;
  /** Settles once the first Sentinel names another server than this. */
  moved(from: Server): Promise<void>;
}

interface SetOptions {
  replicas: number;
  sentinels: number;
  /** `redis.conf`, as arguments. */
  extra?: string[];
}

/** A primary with replicas, watched by Sentinels that replace it when they have not reached it for two seconds. */
export async function startSentinelSet({ replicas, sentinels, extra = [] }: SetOptions): Promise<SentinelSet> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-sentinels-'));
  const started: Server[] = [];
  const stop = async () => {
    await Promise.all(started.map((server) => server.stop()));
    await rm(folder, { recursive: true, force: true });
  };
  const start = async (starting: Promise<Server>): Promise<Server> => {
    const server = await starting;
    started.push(server);
    return server;
  };
  try {
    const first = await start(
      startServer({ appendonly: true, password: PASSWORD, extra: [...memberOptions(), ...extra] }),
    );
    const servers = [first];
    for (let at = 0; at < replicas; at += 1) {
      const following = ['--replicaof', HOST, String(first.port)];
      servers.push(
        await start(
          startServer({ appendonly: true, password: PASSWORD, extra: [...memberOptions(), ...following, ...extra] }),
        ),
      );
    }
    const watching: Server[] = [];
    for (let at = 0; at < sentinels; at += 1) {
      const file = join(folder, `sentinel-${at}.conf`);
      await writeFile(file, sentinelConfiguration(first.port, Math.floor(sentinels / 2) + 1));
      watching.push(await start(startServer({}, [file, '--sentinel'])));
    }
    await Promise.all(watching.map(({ port }) => until(port, knowsAll(replicas, sentinels))));
    await until(
      first.port,
      async (client) => {
        const facts = await client.info('replication');
        return (facts.match(/state=online/g) ?? []).length === replicas;
      },
      PASSWORD,
    );
    return setOf(servers, watching, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

function setOf(servers: Server[], sentinels: Server[], stop: () => Promise<void>): SentinelSet {
  const [first] = servers;
  const [leader] = sentinels;
  if (first === undefined || leader === undefined) throw new Error('no server');
  const primary = (sentinel = leader): Promise<number> =>
    command(sentinel.port, async (client) => {
      const address = await client.call('SENTINEL', ['GET-MASTER-ADDR-BY-NAME', 'latchkey']);
      return Array.isArray(address) ? Number(address[1]) : 0;
    });
  const access = (server: Server, user: string, is: 'on' | 'off') =>
    command(
      server.port,
      async (client) => {
        await client.call('ACL', ['SETUSER', user, is]);
        if (is === 'off') await client.call('CLIENT', ['KILL', 'USER', user]);
      },
      PASSWORD,
    );
  return {
    url: `redis+sentinel://:${PASSWORD}@${sentinels.map(({ port }) => `${HOST}:${port}`).join(',')}/latchkey`,
    process: first.process,
    servers,
    sentinels,
    stop,
    primary,
    async cut(server, { replicas: isWhole } = { replicas: false }) {
      await access(server, SENTINEL, 'off');
      if (isWhole) await access(server, REPLICA, 'off');
    },
    async heal(server) {
      await access(server, SENTINEL, 'on');
      await access(server, REPLICA, 'on');
    },
    async failover() {
      await command(leader.port, (client) => client.call('SENTINEL', ['FAILOVER', 'latchkey']));
    },
    moved: (from) => until(leader.port, async () => (await primary()) !== from.port),
  };
}

function memberOptions(): string[] {
  return [
    ...['--user', SENTINEL, ...ALL, '--user', REPLICA, ...ALL],
    ...['--masteruser', REPLICA, '--masterauth', PASSWORD, '--repl-diskless-sync-delay', '0'],
  ];
}

function sentinelConfiguration(port: number, quorum: number): string {
  return [
    `sentinel monitor latchkey ${HOST} ${port} ${quorum}`,
    `sentinel auth-user latchkey ${SENTINEL}`,
    `sentinel auth-pass latchkey ${PASSWORD}`,
    'sentinel down-after-milliseconds latchkey 2000',
    'sentinel failover-timeout latchkey 6000',
    '',
  ].join('\n');
}

/** Whether a Sentinel has met all replicas and the other Sentinels. */
function knowsAll(replicas: number, sentinels: number): Parameters<typeof until>[1] {
  return async (client) => {
    const answer = await client.call('SENTINEL', ['MASTER', 'latchkey']);
    const flat: unknown[] = Array.isArray(answer) ? answer : Object.entries(Object(answer) as object).flat();
    const valueOf = (name: string): number => Number(flat[flat.indexOf(name) + 1]);
    return valueOf('num-slaves') === replicas && valueOf('num-other-sentinels') === sentinels - 1;
  };
}
