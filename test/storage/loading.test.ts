import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { usedAssertions } from '../../src/grants/jwt-bearer/examination.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { writeNotBefore } from '../../src/sessions/not-before.ts';
import { Load } from '../../src/storage/loading.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { openStores } from '../../src/storage/open-stores.ts';
import type { Store } from '../../src/storage/store.ts';
import { startTestServer } from '../support/server.ts';
import { sqlite, type RunningBackend } from './backends.ts';

describe('A store that is being filled', () => {
  let running: RunningBackend;
  let store: Store;
  /** Milliseconds by which the store's time is moved. */
  let moved = 0;

  beforeEach(async () => {
    running = await sqlite.start();
    const opened = await openStore(running.url, systemClock);
    moved = 0;
    store = Object.assign(Object.create(opened) as Store, { time: async () => (await opened.time()) + moved });
    for (const verb of ['get', 'set', 'create', 'replace', 'delete', 'dump', 'close'] as const) {
      Object.assign(store, { [verb]: opened[verb].bind(opened) });
    }
  });
  afterEach(async () => {
    await store.close();
    await running.stop();
  });

  const begin = (source = 'one', by: 'restore' | 'copy' = 'restore') =>
    Load.begin(store, { by, source, place: 'the store' });

  it('No server opens a store that is being filled until everything is loaded', async () => {
    const load = await begin();
    await assert.rejects(openStores({ grants: running.url }), /is incomplete: "latchkey store restore" has not/);
    await load.end();
    await (await openStores({ grants: running.url })).close();
  });

  it('One process at a time fills a store, and another can continue after the first has been silent', async function () {
    this.timeout(30_000);
    const first = await begin();
    await assert.rejects(begin(), /another process is filling the store/);
    moved = 30_000;
    const second = await begin();
    // A sign of life is due every three seconds.
    await sleep(3100);
    await assert.rejects(first.renew(), /another one now fills the store/);
    await second.renew();
  });

  it('Another process can continue to fill a store after the clock was set back', async () => {
    const first = await begin();
    moved = -3_600_000;
    await begin();
    await assert.rejects(first.end(), /another one now fills the store/);
  });

  it('A store that is being filled stays closed if a process ends that another has replaced', async () => {
    const first = await begin();
    moved = 30_000;
    await begin();
    await assert.rejects(first.end(), /another one now fills the store/);
    await assert.rejects(openStores({ grants: running.url }), /is incomplete/);
  });

  it('A process that fills a store keeps its claim while it only reads for a long time', async function () {
    this.timeout(30_000);
    const load = await begin();
    await sleep(3100);
    moved = 15_000;
    const read: string[] = [];
    for await (const batch of load.during(store.dump())) read.push(...batch.map(({ key }) => key));
    assert.deepEqual(read, ['store-loading:main']);
    moved = 30_000;
    await assert.rejects(begin(), /another process is filling the store/);
  });

  it('Only one of many concurrent processes starts to fill a store', async () => {
    const begun = await Promise.allSettled(Array.from({ length: 8 }, (_, at) => begin(`source ${at}`)));
    assert.equal(begun.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  it('A process does not fill a store if a server writes to it just before the mark', async () => {
    const create = store.create.bind(store);
    store.create = async (key, value, options) => {
      await store.set('store-origin:main', {});
      return create(key, value, options);
    };
    await assert.rejects(begin(), /is not empty \(store-origin\): nothing was changed/);
    assert.equal(await store.get('store-loading:main'), undefined, 'the mark is gone');
  });

  it('A server that opened a store just before its filling began refuses to start', async () => {
    const marking = async (...given: Parameters<typeof openStores>) => {
      const stores = await openStores(...given);
      await begin();
      return stores;
    };
    await assert.rejects(startTestServer({ store: running.url, openStores: marking }), /is incomplete/);
  });

  it('Only the same source can continue to fill a store', async () => {
    await begin();
    moved = 30_000;
    await assert.rejects(begin('another'), /holds a part of another restore/);
    await assert.rejects(begin('one', 'copy'), /holds a part of another restore/);
    await begin();
  });

  it('A store must be empty before it is filled', async () => {
    await store.set('account:1', {});
    await assert.rejects(begin(), /the store is not empty \(account\): nothing was changed/);
    await store.delete('account:1');
    await store.set('readiness:node', {}, { ttl: 60 });
    await assert.rejects(begin(), /A server uses it, or has used it within the last minute/);
    await store.delete('readiness:node');
    await begin();
  });

  it('After a restore, the store refuses assertions from before its end, and accepts later ones once', async () => {
    const { claimOnce, isFree } = usedAssertions(store);
    await writeNotBefore(store, 'assertions', 5000, 60);
    assert.equal(await isFree('issuer', 'early', 60, 4999), false);
    assert.equal(await claimOnce('issuer', 'early', 60, 4999), false);
    assert.equal(await isFree('issuer', 'late', 60, 5000), true);
    assert.equal(await claimOnce('issuer', 'late', 60, 5000), true);
    assert.equal(await claimOnce('issuer', 'late', 60, 5000), false);
  });
});
