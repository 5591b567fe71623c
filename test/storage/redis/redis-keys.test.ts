import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { openRedisStore } from '../../../src/storage/redis/redis-store.ts';
import type { Store } from '../../../src/storage/store.ts';
import { startRedis } from '../../support/redis.ts';
import type { RedisOfTests } from '../../support/redis.ts';
import { systemClock } from '../../../src/lib/clock.ts';

const DURABLE = -1;

describe('The keys in Redis', () => {
  let redis: RedisOfTests;
  let admin: Redis;
  let store: Store;

  before(async () => {
    redis = await startRedis();
    admin = new Redis(redis.url);
    store = await openRedisStore(redis.url, systemClock);
  });
  after(async () => {
    admin.disconnect();
    await store.close();
    await redis.stop();
  });
  beforeEach(() => admin.flushall());

  /** Every key, with the seconds until Redis drops it, rounded up. */
  async function lives(): Promise<Record<string, number>> {
    const keys = (await admin.keys('*')).toSorted();
    const found: Record<string, number> = {};
    for (const key of keys) {
      const life = await admin.pttl(key);
      found[key] = life < 0 ? life : Math.ceil(life / 1000);
    }
    return found;
  }

  it('Every key in Redis has an expiry, except durable records and their indexes', async () => {
    await store.set('a:1', 1, { ttl: 100, indexes: ['short'] });
    await store.create('a:2', 1, { ttl: 300, indexes: ['short', 'mixed'] });
    await store.set('a:3', 1, { indexes: ['mixed'] });
    await store.increment('c', 1, 50);
    await store.setBits('b', [5], 60);
    await store.consume('a:2');
    await store.consume('absent');
    assert.deepEqual(await lives(), {
      'bitmap:b': 60,
      'counter:c': 50,
      'index:mixed': DURABLE,
      'index:short': 300,
      'record:a:1': 100,
      'record:a:2': 300,
      'record:a:3': DURABLE,
    });
  });

  it('An index in Redis expires with its longest member, even as members are added and removed', async () => {
    await store.set('a:1', 1, { ttl: 300, indexes: ['x'] });
    await store.set('a:2', 1, { ttl: 10, indexes: ['x'] });
    assert.equal((await lives())['index:x'], 300);
    await store.set('a:3', 1, { indexes: ['x'] });
    assert.equal((await lives())['index:x'], DURABLE);
    await store.delete('a:3');
    assert.equal((await lives())['index:x'], 300);
    await store.take('a:1');
    assert.equal((await lives())['index:x'], 10);
    await store.set('a:2', 1, { ttl: 20 });
    assert.equal((await lives())['index:x'], undefined);
  });

  it('A later write can give a durable record an expiry or make an expiring one durable', async () => {
    await store.set('a:1', 1);
    await store.set('a:1', 1, { ttl: 30 });
    assert.equal((await lives())['record:a:1'], 30);
    await store.replace('a:1', 1, (await store.get('a:1'))?.version ?? 0);
    assert.equal((await lives())['record:a:1'], DURABLE);
  });

  it('An index in Redis has one entry for a record, however many writes there were', async () => {
    for (let at = 0; at < 5; at += 1) {
      await store.set('a:1', at, { ttl: 100, indexes: ['x'] });
      await store.create('a:1', at, { ttl: 100, indexes: ['x', 'y'] });
      await store.replace('a:1', at, 1, { indexes: ['x', 'y'] });
    }
    assert.equal(await admin.zcard('index:x'), 1);
    assert.equal(await admin.exists('index:y'), 0);
  });

  it('A member that only a caller with a fast clock considers expired stays in its index, hidden from that caller', async () => {
    await store.enlist('x', 'entry:1', 100);
    const fast = await openRedisStore(redis.url, { now: () => systemClock.now() + 3_600_000 });
    try {
      await fast.enlist('x', 'entry:2', 1);
      assert.deepEqual((await fast.members('x')).keys, ['entry:2']);
      await fast.set('a:1', 1, { ttl: 1, indexes: ['x'] });
      await fast.delete('a:1');
    } finally {
      await fast.close();
    }
    assert.deepEqual((await store.members('x')).keys, ['entry:1', 'entry:2']);
    assert.deepEqual((await store.members('x', { limit: 1 })).keys, ['entry:1']);
  });

  it('The store adds nothing to an index while Redis has no memory left', async () => {
    await admin.config('SET', 'maxmemory', '1');
    try {
      await assert.rejects(store.enlist('x', 'entry:1', 100), { name: 'StoreUnavailable', message: /OOM/ });
    } finally {
      await admin.config('SET', 'maxmemory', '0');
    }
  });

  it('No key in Redis remains after all records were taken or deleted', async () => {
    await store.set('a:1', 1, { indexes: ['x', 'y'] });
    await store.create('a:2', 1, { ttl: 100, indexes: ['y'] });
    await store.take('a:1');
    await store.delete('a:2');
    assert.deepEqual(await lives(), {});
  });

  it('The error about a foreign Redis value contains nothing that the caller wanted to write', async () => {
    await admin.set('record:a:1', 'not a record');
    const failure = await store.set('a:1', 'what nobody may read').catch((error: unknown) => error);
    assert.ok(failure instanceof Error);
    assert.match(failure.message, /WRONGTYPE/);
    assert.ok(!inspect(failure, { depth: Infinity, showHidden: true }).includes('what nobody may read'));
  });

  it('A backup names a Redis key that another program wrote', async () => {
    for (const [key, foreign] of [
      ['record:x', () => admin.set('record:x', 'a string')],
      ['bitmap:x', () => admin.sadd('bitmap:x', 'a set')],
      ['index:x', () => admin.set('index:x', 'a string')],
    ] as const) {
      await foreign();
      await assert.rejects(
        async () => {
          for await (const batch of store.dump()) assert.ok(batch.length > 0);
        },
        new RegExp(`has a key that Latchkey did not write, "${key}": rename or delete it`),
      );
      await admin.del(key);
    }
  });

  it('An index member whose record was never written, as after a crash, does no harm', async () => {
    await admin.zadd('index:x', '+inf', 'a:1\0crashed');
    assert.deepEqual((await store.members('x')).keys, ['a:1']);
    await store.create('a:1', 1, { indexes: ['x'] });
    assert.deepEqual((await store.members('x')).keys, ['a:1'], 'and once on a page, though entered twice');
  });
});
