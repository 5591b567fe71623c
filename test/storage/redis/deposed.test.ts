import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../../src/lib/clock.ts';
import { openRedisStore, type RedisStore } from '../../../src/storage/redis/redis-store.ts';
import { StoreUnavailable } from '../../../src/storage/store.ts';
import { MachineTime } from '../../support/machine-time.ts';
import { command, HOST, startRedis, type Server } from '../../support/redis.ts';
import { PASSWORD, startSentinelSet, type SentinelSet } from '../../support/sentinel-set.ts';
import { until } from '../../support/until.ts';

/** For how long a primary may be used after it was deposed, in milliseconds; see `primary-watch.ts`. */
const BELIEVED = 3000;

interface DeposedSetup extends AsyncDisposable {
  set: SentinelSet;
  store: RedisStore;
  /** Writes a record every few milliseconds. @returns the names that were acknowledged, and when */
  keepWriting(): { stop: () => Promise<Map<string, number>> };
}

async function openSetup(isReplicated: boolean): Promise<DeposedSetup> {
  const set = await startSentinelSet({ replicas: 2, sentinels: 3 });
  const store = await openRedisStore(set.url, systemClock, isReplicated);
  let count = 0;
  return {
    set,
    store,
    keepWriting() {
      const acknowledged = new Map<string, number>();
      let isOver = false;
      const write = async () => {
        while (!isOver) {
          const key = `use:${(count += 1)}`;
          const won = await store.create(key, 1).catch(() => false);
          if (won) acknowledged.set(key, Date.now());
          await sleep(2);
        }
      };
      const writing = [write(), write(), write()];
      return {
        async stop() {
          isOver = true;
          await Promise.all(writing);
          return acknowledged;
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await set.stop();
    },
  };
}

function isWell(store: RedisStore): Promise<boolean> {
  return store.health().then(
    () => true,
    () => false,
  );
}

/** Those that a server does not have. */
async function missing(port: number, keys: Iterable<string>): Promise<string[]> {
  return command(
    port,
    async (client) => {
      const all = [...keys];
      const found = await Promise.all(all.map((key) => client.exists(`record:${key}`)));
      return all.filter((_, at) => found[at] !== 1);
    },
    PASSWORD,
  );
}

function firstOf(set: SentinelSet): Server {
  return set.servers[0] ?? assert.fail('no server');
}

describe('A deposed Redis primary', function () {
  this.timeout(180_000);

  it('The store acknowledges no write of a deposed primary after a few seconds, although that still answers', async () => {
    await using setup = await openSetup(false);
    const { set, store } = setup;
    const writing = setup.keepWriting();
    await set.cut(firstOf(set), { replicas: true });
    await set.moved(firstOf(set));
    const movedAt = Date.now();
    await sleep(2 * BELIEVED);
    await until(() => isWell(store), 60_000);
    await sleep(500);
    const acknowledged = await writing.stop();
    const late = [...acknowledged].filter(([, at]) => at > movedAt + BELIEVED).map(([key]) => key);
    assert.ok(late.length > 0, 'the new primary is used');
    assert.deepEqual(await missing(await set.primary(), late), []);
    assert.ok((await missing(firstOf(set).port, late)).length > 0, 'the former primary was left');
  });

  const FAILOVERS: Record<string, (set: SentinelSet) => Promise<unknown>> = {
    // Those who wait for the former primary, as one of its replicas, are waited for until they are known to be gone.
    'if the primary is cut off': (set) => set.cut(firstOf(set)),
    'in a planned failover': (set) => set.failover(),
  };
  for (const [name, begin] of Object.entries(FAILOVERS)) {
    it(`The store loses no write that replicas have acknowledged ${name}`, async () => {
      await using setup = await openSetup(true);
      const { set, store } = setup;
      const writing = setup.keepWriting();
      await sleep(500);
      await begin(set);
      await set.moved(firstOf(set));
      const takesWrites = () =>
        store.set('after', 1).then(
          () => true,
          () => false,
        );
      await until(takesWrites, 90_000);
      const acknowledged = await writing.stop();
      assert.ok(acknowledged.size > 50, `${acknowledged.size} were acknowledged`);
      assert.deepEqual(await missing(await set.primary(), acknowledged.keys()), []);
    });
  }

  it('The store acknowledges nothing without a majority of the Sentinels', async () => {
    await using setup = await openSetup(false);
    const { set, store } = setup;
    for (const sentinel of set.sentinels.slice(0, 2)) sentinel.process.kill('SIGSTOP');
    using machine = new MachineTime();
    const pausedAt = performance.now();
    await until(async () => !(await isWell(store)), 60_000);
    const took = performance.now() - pausedAt - machine.lost;
    await sleep(BELIEVED);
    await assert.rejects(store.set('a:1', 1), StoreUnavailable);
    await assert.rejects(store.get('a:1'), StoreUnavailable);
    for (const sentinel of set.sentinels) sentinel.process.kill('SIGCONT');
    await until(() => isWell(store), 60_000);
    assert.ok(took < 5000, `it took ${took} ms`);
  });
});

describe('A Redis replica as a store', () => {
  it('The store neither reads nor writes a Redis that is a replica', async () => {
    const primary = await startRedis();
    const { port } = new URL(primary.url);
    const replica = await startRedis({ extra: ['--replicaof', HOST, port] });
    try {
      await assert.rejects(openRedisStore(replica.url, systemClock), { name: 'StoreUnavailable', message: /replica/ });
    } finally {
      await replica.stop();
      await primary.stop();
    }
  });

  it('The store leaves a Redis as soon as it has become a replica', async () => {
    const [primary, redis] = await Promise.all([startRedis(), startRedis()]);
    const store = await openRedisStore(redis.url, systemClock);
    try {
      await store.set('a:1', 1);
      const { port } = new URL(primary.url);
      await command(Number(new URL(redis.url).port), (client) => client.replicaof(HOST, Number(port)));
      await until(
        () =>
          store
            .get('a:1')
            .then(() => false)
            .catch(() => true),
        60_000,
      );
      await assert.rejects(store.health(), { name: 'StoreUnavailable' });
    } finally {
      await store.close();
      await Promise.all([primary.stop(), redis.stop()]);
    }
  });
});
