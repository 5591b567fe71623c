import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { StoreUnavailable } from '../../src/storage/store.ts';
import { startPostgres, type PostgresOfTests } from '../support/postgres.ts';
import { startRedis, startRedisCluster, startSentinel } from '../support/redis.ts';
import { until } from '../support/until.ts';

interface Faulty {
  url: string;
  /** Stops it without warning, and leaves what is on its disk. */
  kill(): Promise<void>;
  /** Starts another where the killed one was. */
  again(): Promise<Faulty>;
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

async function faultyRedis(port?: number): Promise<Faulty> {
  const server = await startRedis(port === undefined ? {} : { port });
  return {
    ...server,
    kill: server.stop,
    again: () => faultyRedis(Number(new URL(server.url).port)),
    pause: () => server.process.kill('SIGSTOP'),
    resume: () => server.process.kill('SIGCONT'),
  };
}

async function faultyPostgres(former?: PostgresOfTests & { url: string }): Promise<Faulty> {
  const server = await startPostgres(former);
  const url = former?.url ?? (await server.newDatabase());
  return { ...server, url, again: () => faultyPostgres({ ...server, url }) };
}

interface Opened<Server> extends AsyncDisposable {
  server: Server;
  store: Store;
}

/** Opens a store on a server that is starting; both end with the test, however it ends. */
async function opened<Server extends Pick<Faulty, 'url' | 'stop'>>(starting: Promise<Server>): Promise<Opened<Server>> {
  const server = await starting;
  const store = await openStore(server.url, systemClock);
  return {
    server,
    store,
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await server.stop();
    },
  };
}

/** Waits until the store is well again. */
async function recovery(store: Store): Promise<void> {
  const isWell = () =>
    store.health().then(
      () => true,
      () => false,
    );
  await until(isWell);
}

async function assertUnavailable(store: Store): Promise<void> {
  const answers = await Promise.allSettled([
    store.get('record:1'),
    store.set('record:1', 1, { indexes: ['all'] }),
    store.replace('record:1', 1, 1),
    store.take('record:1'),
    store.members('all'),
    store.increment('counter', 1, 1),
    store.readBits('bitmap'),
    store.publish('channel', 'hint'),
    store.health(),
  ]);
  for (const answer of answers) {
    assert.ok(answer.status === 'rejected' && answer.reason instanceof StoreUnavailable, JSON.stringify(answer));
  }
}

for (const [name, start] of [
  ['Redis', faultyRedis],
  ['PostgreSQL', faultyPostgres],
] as const) {
  describe(`An outage of ${name}`, () => {
    it('The store is unavailable after its backend was killed, and reconnects after a restart', async () => {
      await using open = await opened(start());
      const { server: first, store } = open;
      await store.create('record:1', 'before');
      const heard: string[] = [];
      await store.subscribe('channel', (message) => heard.push(message));
      await first.kill();
      await assertUnavailable(store);
      const second = await first.again();
      await recovery(store);
      assert.equal(await store.create('record:4', 'after', { indexes: ['all'] }), true);
      assert.deepEqual(await store.consume('record:4'), { use: 'first' });
      await until(async () => {
        await store.publish('channel', 'again');
        return heard.length > 0;
      });
      await second.stop();
    });

    it('The store is unavailable while its backend hangs, even for requests that wait behind others', async () => {
      await using open = await opened(start());
      const { server, store } = open;
      await store.set('record:2', 'kept');
      server.pause();
      const first = assert.rejects(store.get('record:1'), StoreUnavailable);
      await sleep(100);
      await Promise.all([first, assertUnavailable(store)]);
      server.resume();
      await recovery(store);
      assert.equal((await store.get('record:2'))?.value, 'kept');
      assert.equal(await store.create('record:3', 1), true);
    });

    it('The store never repeats a command, because the first one may have succeeded', async () => {
      await using open = await opened(start());
      const { server, store } = open;
      server.pause();
      await assert.rejects(store.increment('tries', 1, 600), StoreUnavailable);
      server.resume();
      await recovery(store);
      assert.ok((await store.increment('tries', 0, 600)) <= 1);
    });
  });
}

describe('Redis with faults', () => {
  it('Redis with full memory refuses writes and still answers reads', async () => {
    await using open = await opened(startRedis({ extra: ['--maxmemory', '3mb'] }));
    const { store } = open;
    await store.set('record:1', 'kept');
    const fill = async () => {
      // Ten times as much as fits.
      for (let at = 0; at < 300; at += 1) await store.set(`filler:${at}`, 'x'.repeat(100_000), { ttl: 600 });
    };
    await assert.rejects(fill(), StoreUnavailable);
    assert.equal((await store.get('record:1'))?.value, 'kept');
  });

  it('The store still works after Redis has lost its scripts', async () => {
    await using open = await opened(startRedis());
    const { server: redis, store } = open;
    await store.set('record:1', 'before');
    const { port } = new URL(redis.url);
    const admin = new Redis(Number(port));
    await admin.script('FLUSH');
    admin.disconnect();
    const writes = ['a', 'b', 'c'].map((value) => store.create(`record:${value}`, value));
    assert.deepEqual(await Promise.all(writes), [true, true, true]);
    await store.set('record:1', 'after');
    assert.equal((await store.get('record:1'))?.value, 'after');
  });

  it('The store’s error names the Redis host and port, but not the password', async () => {
    const redis = await startRedis({ password: 'right' });
    const { host } = new URL(redis.url);
    await assert.rejects(openStore(`redis://:wrong@${host}`, systemClock), (error: Error) => {
      assert.ok(error instanceof StoreUnavailable);
      const failure = `Redis at ${host} refuses the user or password (WRONGPASS)`;
      assert.equal(error.message, `${failure}. Correct them in the store URL: redis://USER:PASSWORD@HOST`);
      assert.doesNotMatch(error.message, /wrong@|:wrong/);
      return true;
    });
    await assert.rejects(openStore(`redis://${host}`, systemClock), {
      message: `Redis at ${host} requires a password (NOAUTH). Give it in the store URL: redis://USER:PASSWORD@HOST`,
    });
    const store = await openStore(`${redis.url}/3`, systemClock);
    await store.health();
    await store.close();
    await redis.stop();
    await assert.rejects(openStore(redis.url, systemClock), { name: 'StoreUnavailable', message: /ECONNREFUSED/ });
  });
});

describe('A Redis Cluster that loses a master', () => {
  it('A Redis Cluster that lost a master is unavailable, and each key either works or fails as unavailable', async () => {
    await using open = await opened(startRedisCluster());
    const { server: cluster, store } = open;
    const keys = Array.from({ length: 30 }, (_, at) => `record:${at}`);
    for (const key of keys) await store.set(key, key);
    cluster.process.kill('SIGKILL');
    await assert.rejects(async () => {
      await until(() => store.health().then(() => false));
    }, StoreUnavailable);
    const results = await Promise.allSettled(keys.map((key) => store.get(key)));
    const failures = results.filter((result) => result.status === 'rejected');
    assert.ok(failures.length > 0);
    for (const { reason } of failures) assert.ok(reason instanceof StoreUnavailable, String(reason));
  }).timeout(60_000);
});

describe('Redis behind Sentinel', () => {
  it('The store refuses to open with a primary’s name that the Sentinel does not know', async () => {
    const sentinel = await startSentinel();
    await assert.rejects(openStore(`${sentinel.url}-other`, systemClock), StoreUnavailable);
    await sentinel.stop();
  });
});
