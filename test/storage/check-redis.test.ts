import assert from 'node:assert/strict';
import { systemClock } from '../../src/lib/clock.ts';
import { checkGrantsStore, checkRecordsStore, openStore } from '../../src/storage/open-store.ts';
import { startRedis } from '../support/redis.ts';
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
  it('is accepted when it evicts nothing and writes an append-only file or snapshots', async () => {
    assert.deepEqual(await check({ appendonly: true }), []);
    assert.deepEqual(await check({ extra: ['--save', '3600 1'] }), []);
  });

  it('is refused when it would evict, with the setting to change', async () => {
    await assert.rejects(check({ appendonly: true, policy: 'allkeys-lru' }), {
      message: /maxmemory-policy allkeys-lru.*CONFIG SET maxmemory-policy noeviction.*redis\.conf/,
    });
    await assert.rejects(check({ appendonly: true, policy: 'volatile-ttl' }), /CONFIG SET maxmemory-policy noeviction/);
  });

  it('is refused when it keeps nothing on disk, with the setting to change', async () => {
    await assert.rejects(check({}), { message: /at a restart.*CONFIG SET appendonly yes.*redis\.conf/ });
  });

  it('is warned about when it does not tell its settings', async () => {
    const extra = ['--user', 'app', 'on', '>pass', '~*', '&*', '+@all', '-config'];
    const [warning, ...others] = await check({ extra }, 'app:pass@');
    assert.match(warning ?? '', /does not allow CONFIG GET/);
    assert.deepEqual(others, []);
    assert.deepEqual(await check({ appendonly: true, extra }, 'app:pass@'), []);
  });
});

describe('A Redis for grants', () => {
  it('need not save to disk', async () => {
    assert.deepEqual(await check({}, '', checkGrantsStore), []);
  });

  it('is warned about when it would evict, with the setting to change', async () => {
    const [warning, ...others] = await check({ policy: 'volatile-lru' }, '', checkGrantsStore);
    assert.match(
      warning ?? '',
      /taken back no more.*maxmemory-policy volatile-lru.*CONFIG SET maxmemory-policy noeviction/,
    );
    assert.deepEqual(others, []);
  });
});

describe('A SQLite store for records', () => {
  it('is accepted', async () => {
    const running = await sqlite.start();
    const store = await openStore(running.url, systemClock);
    assert.deepEqual(await checkRecordsStore(running.url, store), []);
    await store.close();
    await running.stop();
  });
});
