import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { StoreUnavailable, type Store } from '../../src/storage/store.ts';
import { startPostgresCluster, type PostgresClusterOfTests } from '../support/postgres-cluster.ts';
import { startPostgres } from '../support/postgres.ts';
import { until } from '../support/until.ts';

const TRIES = 50;
const PATIENCE = 120_000;

describe('A PostgreSQL with a synchronous replica', function () {
  this.timeout(2 * PATIENCE);
  let cluster: PostgresClusterOfTests;
  let stores: Store[];

  before(async () => {
    cluster = await startPostgresCluster(true);
    stores = await Promise.all([0, 1].map(() => openStore(cluster.url, systemClock, true)));
  });
  after(async () => {
    cluster.primary.resume();
    await Promise.all(stores.map((store) => store.close()));
    await cluster.stop();
  });

  const storeAt = (at: number): Store => stores[at % 2] ?? assert.fail();
  const isWell = (store: Store) =>
    store.health().then(
      () => true,
      () => false,
    );
  const areWell = async () => (await Promise.all(stores.map(isWell))).every(Boolean);

  /** Fifty that take each code at once, again and again, until all of them have got an answer. */
  async function race(name: string, fault: () => Promise<void>): Promise<number> {
    const codes = Array.from({ length: 30 }, (_, at) => `${name}:${at}`);
    for (const code of codes) await storeAt(0).set(code, 1, { ttl: 600 });
    const firsts = new Map<string, number>();
    let refused = 0;
    const faulty = sleep(200).then(fault);
    await Promise.all(
      codes.map(async (code, which) => {
        await sleep(which * 30);
        const uses = Array.from({ length: TRIES }, (_, at) => storeAt(at).consume(code));
        for (const use of await Promise.allSettled(uses)) {
          if (use.status === 'rejected') {
            assert.ok(use.reason instanceof StoreUnavailable, String(use.reason));
            refused += 1;
          } else if (use.value.use === 'first') firsts.set(code, (firsts.get(code) ?? 0) + 1);
        }
      }),
    );
    await faulty;
    await until(areWell, PATIENCE);
    for (const code of codes) {
      const [once, twice] = [await storeAt(0).consume(code), await storeAt(1).consume(code)];
      assert.equal(twice.use, 'already', code);
      const all = (firsts.get(code) ?? 0) + (once.use === 'first' ? 1 : 0);
      // None, where its answer was lost.
      assert.ok(all <= 1, `${code} was first ${all} times`);
      if (refused === 0) assert.equal(all, 1, code);
    }
    return refused;
  }

  it('Only one of fifty concurrent requests can use up a code', async () => {
    assert.equal(await race('calm', () => Promise.resolve()), 0);
  });

  it('The store acknowledges no write whose wait for the replica was cancelled', async () => {
    await storeAt(0).set('record:2', 'before');
    cluster.replica.pause();
    const write = assert.rejects(storeAt(0).set('record:2', 'after'), /the replicas have not confirmed the write/);
    const cancelled = until(async () => {
      const waiting = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
      return (await cluster.primary.sql(waiting)).length > 0;
    });
    await Promise.all([write, cancelled]).finally(() => {
      cluster.replica.resume();
    });
    await until(areWell, PATIENCE);
  });

  it('A code works only once across a promotion of the PostgreSQL replica', async () => {
    const heard: string[] = [];
    await storeAt(1).subscribe('channel', (message) => heard.push(message));
    const refused = await race('promotion', async () => {
      // It hangs as a machine that was cut off, and does not know that it was replaced.
      cluster.primary.pause();
      await cluster.promote();
      await cluster.replica.sql("ALTER SYSTEM SET synchronous_standby_names = ''");
      await cluster.replica.sql('SELECT pg_reload_conf()');
      // Refused by the nodes: writes would not be replicated.
      await sleep(3000);
      assert.deepEqual(await Promise.all(stores.map(isWell)), [false, false]);
      await cluster.primary.kill();
      await cluster.rejoin();
      await cluster.primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
      await cluster.primary.sql('SELECT pg_reload_conf()');
    });
    assert.ok(refused > 0);
    await until(async () => {
      await storeAt(0).publish('channel', 'again');
      return heard.length > 0;
    });
  });

  it('The store writes nothing to a former primary that does not know about its replacement', async () => {
    await storeAt(0).set('record:1', 'before');
    cluster.primary.pause();
    await cluster.promote();
    await cluster.replica.sql('ALTER SYSTEM RESET synchronous_standby_names');
    await cluster.replica.sql('SELECT pg_reload_conf()');
    const relaxed = await openStore(cluster.url, systemClock);
    stores.push(relaxed);
    await until(() => isWell(relaxed), PATIENCE);
    await relaxed.set('record:1', 'after');
    cluster.primary.resume();
    // It takes writes of everybody else.
    await until(async () => (await cluster.primary.sql('SELECT 1')).length === 1);
    for (let at = 0; at < 100; at += 1) {
      assert.equal((await relaxed.get('record:1'))?.value, 'after');
      await sleep(30);
    }
    const fresh = await openStore(cluster.url, systemClock);
    stores.push(fresh);
    assert.equal((await fresh.get('record:1'))?.value, 'after');
  });
});

describe('A store URL with only replicas', () => {
  it('The server refuses a store URL with only replicas, and names the fix', async () => {
    const cluster = await startPostgresCluster(false);
    try {
      const only = cluster.url.replace(`127.0.0.1:${cluster.primary.port},`, '');
      const asked = openStore(only, systemClock);
      await assert.rejects(asked, /is a replica or is read-only\. Name every server of the cluster/);
    } finally {
      await cluster.stop();
    }
  });
});

describe('Expired rows in PostgreSQL', () => {
  it('The sweeps of two nodes delete the expired rows with their index members, and no others', async () => {
    const server = await startPostgres();
    const url = await server.newDatabase();
    const stores = await Promise.all([0, 1].map(() => openStore(url, systemClock)));
    const [store] = stores;
    try {
      assert.ok(store !== undefined);
      const left = async () => {
        const tables = ['records', 'members', 'entries', 'counters', 'bitmaps'];
        const counts = tables.map((table) => `(SELECT count(*) FROM latchkey.${table})`).join(' + ');
        return Number((await server.sql(`SELECT ${counts} AS count`, new URL(url).username))[0]?.['count']);
      };
      const short = Array.from({ length: 2500 }, (_, at) => `record:${at}`);
      for (const part of [short.slice(0, 1000), short.slice(1000)])
        await Promise.all(part.map((key) => store.set(key, 1, { ttl: 5, indexes: ['all'] })));
      await Promise.all([
        store.enlist('all', 'entry', 5),
        store.increment('counter', 1, 5),
        store.setBits('bits', [1], 5),
        store.set('kept', 1, { indexes: ['all'] }),
        store.set('later', 1, { ttl: 600 }),
      ]);
      await until(async () => (await left()) === 3);
      assert.equal((await store.get('later'))?.value, 1);
    } finally {
      await Promise.all(stores.map((each) => each.close()));
      await server.stop();
    }
  });
});
