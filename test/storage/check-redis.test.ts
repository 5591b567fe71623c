import assert from 'node:assert/strict';
import { systemClock } from '../../src/lib/clock.ts';
import { checkGrantsStore, checkRecordsStore, checkStoreReplicas, openStore } from '../../src/storage/open-store.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { sqlite } from './backends.ts';

/** Checks a Redis with these settings, as a store of records unless said otherwise. @returns its warnings */
async function check(
  settings: Parameters<typeof startRedis>[0],
  credentials = '',
  checkStore = checkRecordsStore,
): Promise<string[]> {
  const redis = await startRedis(settings);
  const url = redis.url.replace('//', `//${credentials}`);
  const store = await openStore(url, systemClock);
  try {
    return await checkStore(url, store);
  } finally {
    await store.close();
    await redis.stop();
  }
}

describe('A Redis for records', () => {
  it('The server accepts a Redis that evicts nothing and writes an append-only file or snapshots', async () => {
    assert.deepEqual(await check({ appendonly: true }), []);
    assert.deepEqual(await check({ extra: ['--save', '3600 1'] }), []);
  });

  it('The server refuses a Redis that would evict records, and names the setting to change', async () => {
    await assert.rejects(check({ appendonly: true, policy: 'allkeys-lru' }), {
      message: /maxmemory-policy allkeys-lru.*CONFIG SET maxmemory-policy noeviction.*redis\.conf/,
    });
    await assert.rejects(check({ appendonly: true, policy: 'volatile-ttl' }), /CONFIG SET maxmemory-policy noeviction/);
  });

  it('The server refuses a Redis that keeps nothing on disk, and names the setting to change', async () => {
    await assert.rejects(check({}), { message: /at a restart.*CONFIG SET appendonly yes.*redis\.conf/ });
  });

  it('The server warns about a Redis whose settings it cannot read', async () => {
    const extra = ['--user', 'app', 'on', '>pass', '~*', '&*', '+@all', '-config'];
    const [warning, ...others] = await check({ extra }, 'app:pass@');
    assert.match(warning ?? '', /does not allow CONFIG GET/);
    assert.deepEqual(others, []);
    assert.deepEqual(await check({ appendonly: true, extra }, 'app:pass@'), []);
  });
});

describe('A Redis for grants', () => {
  it('The server accepts a Redis for grants that does not save to disk', async () => {
    assert.deepEqual(await check({}, '', checkGrantsStore), []);
  });

  it('The server warns about a Redis for grants that would evict keys, and names the setting to change', async () => {
    const [warning, ...others] = await check({ policy: 'volatile-lru' }, '', checkGrantsStore);
    assert.match(
      warning ?? '',
      /no longer be revoked.*maxmemory-policy volatile-lru.*CONFIG SET maxmemory-policy noeviction/,
    );
    assert.deepEqual(others, []);
  });
});

describe('A Redis with replicas', () => {
  /** Checks a primary that has one replica. @returns its warnings */
  async function checkPair(extra: string[], isReplicated = false): Promise<string[]> {
    const primary = await startRedis({ extra });
    const replica = await startRedis({ extra: ['--replicaof', '127.0.0.1', new URL(primary.url).port] });
    const store = await openStore(primary.url, systemClock);
    try {
      let warnings: string[] = [];
      await until(async () => {
        warnings = await checkStoreReplicas(primary.url, store, isReplicated).catch(() => ['no replica yet']);
        return warnings.length > 0 || extra.length > 0;
      });
      return warnings;
    } finally {
      await store.close();
      await Promise.all([replica.stop(), primary.stop()]);
    }
  }

  it('The server warns about a Redis that accepts writes without its replicas, and names the settings to change', async () => {
    const [warning, ...others] = await checkPair([]);
    assert.match(warning ?? '', /min-replicas-to-write 0.*CONFIG SET min-replicas-to-write 1.*min-replicas-max-lag 5/);
    assert.deepEqual(others, []);
  });

  it('The server gives no warning about a Redis that stops without its replicas', async () => {
    const extra = ['--min-replicas-to-write', '1', '--min-replicas-max-lag', '5'];
    assert.deepEqual(await checkPair(extra), []);
  });

  it('The server refuses a Redis without a replica if writes must wait for one', async () => {
    const redis = await startRedis();
    const store = await openStore(redis.url, systemClock);
    try {
      assert.deepEqual(await checkStoreReplicas(redis.url, store, false), []);
      await assert.rejects(checkStoreReplicas(redis.url, store, true), /replicated, but the Redis has no replica/);
    } finally {
      await store.close();
      await redis.stop();
    }
  });
});

describe('An SQLite store for records', () => {
  it('The server accepts SQLite for records', async () => {
    const running = await sqlite.start();
    const store = await openStore(running.url, systemClock);
    assert.deepEqual(await checkRecordsStore(running.url, store), []);
    await store.close();
    await running.stop();
  });
});
