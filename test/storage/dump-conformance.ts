import assert from 'node:assert/strict';
import { openStore } from '../../src/storage/open-store.ts';
import type { Index, Item, Store } from '../../src/storage/store.ts';
import { keyspace } from '../../src/storage/store.ts';
import { MovedClock } from '../support/clock.ts';
import type { Backend, RunningBackend } from './backends.ts';
import { ODD_NAMES } from './odd.ts';

const recordKey = keyspace<unknown>('record');

/** The things of one test in the order of their names, whatever order the backend has. */
async function dumped(store: Store, mark: string): Promise<Item[]> {
  const found: Item[] = [];
  for await (const batch of store.dump()) found.push(...batch.filter(({ key }) => key.includes(mark)));
  const name = (item: Item): string => `${item.kind} ${item.kind === 'member' ? item.index : ''} ${item.key}`;
  return found.sort((a, b) => (name(a) < name(b) ? -1 : 1));
}

/** Ordered terms, and all that a backup and a copy need, alike on every backend. */
export function dumpConformance(backend: Backend): void {
  const clock = new MovedClock();
  let running: RunningBackend;
  let store: Store;
  let count = 0;
  let mark: string;
  let order: string;

  before(async function () {
    this.timeout(60_000);
    running = await backend.start();
    store = await openStore(running.url, clock);
  });
  after(async () => {
    await store.close();
    await running.stop();
  });
  beforeEach(() => {
    count += 1;
    mark = `<${count}>`;
    order = `order-${count}`;
  });

  describe('Ranges of terms', () => {
    const add = (id: string, terms: string[], ttl?: number) =>
      store.set(recordKey(`${mark}${id}`), id, {
        terms: terms.map((term) => `${order}:${term}`),
        ...(ttl !== undefined && { ttl }),
      });

    async function found(prefix: string, limit: number): Promise<string[]> {
      const all: string[] = [];
      let after: string | undefined;
      for (let pages = 0; pages < 100; pages += 1) {
        const page = await store.range(`${order}:${prefix}`, { limit, ...(after !== undefined && { after }) });
        assert.ok(page.found.length <= limit);
        for (const { term, key } of page.found)
          all.push(`${term.slice(order.length + 1)}=${key.slice(`record:${mark}`.length)}`);
        after = page.next;
        if (after === undefined) return all;
      }
      return assert.fail('the pages do not end');
    }

    it('A range contains the terms with a prefix in byte order, and sorts each term’s records by expiry and key', async () => {
      await add('1', ['alice', 'smith']);
      await add('2', ['alina', 'alice']);
      await add('3', ['alice'], 60);
      await add('4', ['al', 'älice', 'alice b', 'ALICE', 'bob']);
      const all = ['al=4', 'alice=3', 'alice=1', 'alice=2', 'alice b=4', 'alina=2'];
      for (const limit of [1, 2, 3, 6, 100]) assert.deepEqual(await found('al', limit), all, `pages of ${limit}`);
      assert.deepEqual(await found('', 3), ['ALICE=4', ...all, 'bob=4', 'smith=1', 'älice=4']);
      assert.deepEqual(await found('alice ', 3), ['alice b=4']);
      assert.deepEqual(await found('x', 3), []);
    });

    it('The terms of a record change with each write, and disappear with the record', async () => {
      await add('1', ['old', 'both']);
      await add('1', ['new', 'both']);
      assert.deepEqual(await found('', 10), ['both=1', 'new=1']);
      const read = await store.get(recordKey(`${mark}1`));
      assert.ok(await store.replace(recordKey(`${mark}1`), 2, read?.version ?? 0, { terms: [`${order}:third`] }));
      assert.deepEqual(await found('', 10), ['third=1']);
      await store.delete(recordKey(`${mark}1`));
      assert.deepEqual(await found('', 10), []);
    });

    it('A write that fails leaves the terms unchanged', async () => {
      await add('1', ['kept']);
      assert.equal(await store.create(recordKey(`${mark}1`), 2, { terms: [`${order}:lost`] }), false);
      assert.equal(await store.replace(recordKey(`${mark}1`), 2, 1, { terms: [`${order}:lost`] }), false);
      assert.deepEqual(await found('', 10), ['kept=1']);
    });

    it('A range loses the terms of expired records, however many expire at once', async () => {
      await Promise.all(Array.from({ length: 60 }, (_, at) => add(`${at}`, ['term'], 10)));
      await add('durable', ['term']);
      assert.equal((await found('', 7)).length, 61);
      clock.advance(10);
      assert.deepEqual(await found('', 2), ['term=durable']);
    });

    it('The next page of a range continues correctly after a deleted record and includes a new one', async () => {
      for (const id of ['a', 'b', 'c', 'd']) await add(id, [id]);
      const page = await store.range(`${order}:`, { limit: 2 });
      await store.delete(recordKey(`${mark}b`));
      await add('bb', ['bb']);
      const rest = await store.range(`${order}:`, { after: page.next ?? assert.fail() });
      assert.deepEqual(
        rest.found.map(({ key }) => key),
        ['bb', 'c', 'd'].map((id) => recordKey(`${mark}${id}`)),
      );
    });

    it('An order, an index and a record can have the same name', async () => {
      const index: Index<unknown> = `${order}:same`;
      await store.set(recordKey(`${mark}1`), 1, { indexes: [index], terms: [`${order}:same`] });
      await store.set(recordKey(`${mark}2`), 2, { indexes: [index] });
      await store.set(recordKey(`${mark}3`), 3, { terms: [`${order}2:same`] });
      assert.deepEqual(await found('', 10), ['same=1']);
      assert.equal((await store.members(index)).keys.length, 2);
    });

    it('A range finds terms and keys with any characters, and has 100 on a page by default', async () => {
      const odd = ODD_NAMES.filter((name) => name.length < 1000);
      for (const name of odd) await add(name, [name]);
      const names = odd.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.deepEqual(
        await found('', 3),
        names.map((name) => `${name}=${name}`),
      );
      for (const name of odd) assert.ok((await found(name, 100)).includes(`${name}=${name}`), name);
      await Promise.all(Array.from({ length: 101 }, (_, at) => add(`many${at}`, ['many'])));
      assert.equal((await store.range(`${order}:many`)).found.length, 100);
    });

    it('An invented cursor finds nothing outside the prefix', async () => {
      await add('a', ['a']);
      await add('b', ['b']);
      const whole = await store.range(`${order}:`, { limit: 1 });
      for (const after of ['', '.', 'x', 'AAAA', '%00', "'; DROP TABLE members", whole.next ?? '']) {
        const page = await store.range(`${order}:b`, { after });
        assert.ok(page.found.every(({ term }) => term === `${order}:b`));
      }
    });

    it('The store refuses a term without the name of its order, and a term with a NUL', async () => {
      await assert.rejects(() => store.range('nothing'), /begins with the name of its order/);
      await assert.rejects(() => store.set(recordKey(mark), 1, { terms: [`${order}:a\0b`] }), /no NUL/);
    });
  });

  describe('Dumps', () => {
    it('A dump contains records with all their data, members without a record, counters and bitmaps', async () => {
      const key = recordKey(mark);
      await store.set(key, { grüße: ['🔑', null] }, { ttl: 60, indexes: ['b', 'a', 'a'], terms: ['o:y', 'o:x'] });
      await store.consume(key);
      await store.set(recordKey(`${mark}durable`), 1);
      await store.enlist('a', `member${mark}`, 100);
      await store.increment(`counter${mark}`, 7, 60);
      await store.setBits(`bitmap${mark}`, [0, 15], 60);
      const now = clock.now();
      const version = async (of: string) => (await store.get(recordKey(of)))?.version ?? assert.fail();
      assert.deepEqual(await dumped(store, mark), [
        { kind: 'bitmap', key: `bitmap${mark}`, bits: Buffer.from([0x80, 1]), expiresAt: now + 60_000 },
        { kind: 'counter', key: `counter${mark}`, sum: 7, expiresAt: now + 60_000 },
        { kind: 'member', index: 'a', key: `member${mark}`, expiresAt: now + 100_000 },
        {
          kind: 'record',
          key,
          json: '{"grüße":["🔑",null]}',
          version: await version(mark),
          consumedAt: now,
          expiresAt: now + 60_000,
          indexes: ['a', 'b'],
          terms: ['o:x', 'o:y'],
        },
        { kind: 'record', key: recordKey(`${mark}durable`), json: '1', version: await version(`${mark}durable`) },
      ]);
    });

    it('A dump omits what has expired', async () => {
      await store.set(recordKey(mark), 1, { ttl: 10 });
      await store.enlist('a', `member${mark}`, 10);
      await store.increment(`counter${mark}`, 7, 10);
      await store.setBits(`bitmap${mark}`, [0], 10);
      assert.equal((await dumped(store, mark)).length, 4);
      clock.advance(10);
      assert.deepEqual(await dumped(store, mark), []);
    });

    it('A dump contains everything that existed before it began, and each item once if nobody writes', async () => {
      await Promise.all(Array.from({ length: 1200 }, (_, at) => store.set(recordKey(`${mark}${at}`), at)));
      const before = (await dumped(store, mark)).map(({ key }) => key);
      assert.equal(new Set(before).size, 1200);
      assert.equal(before.length, 1200);
    });

    it('A dump contains everything that exists for its whole duration, even if others write and delete', async () => {
      const ids = Array.from({ length: 1500 }, (_, at) => at);
      await Promise.all(ids.map((at) => store.set(recordKey(`${mark}${at}`), at)));
      const seen = new Set<string>();
      let next = 0;
      for await (const batch of store.dump()) {
        for (const { key } of batch) seen.add(key);
        for (let more = 0; more < 50; more += 1) {
          await store.set(recordKey(`${mark}new${next}`), 1);
          await store.delete(recordKey(`${mark}${next * 2 + 1}`));
          next += 1;
        }
      }
      const kept = ids.filter((at) => at % 2 === 0).map((at) => recordKey(`${mark}${at}`));
      assert.deepEqual(
        kept.filter((key) => !seen.has(key)),
        [],
      );
    });

    it('A dump that ends early does not block the store', async () => {
      await store.set(recordKey(mark), 1);
      for await (const batch of store.dump()) {
        assert.ok(batch.length > 0);
        break;
      }
      await store.set(recordKey(mark), 2);
      assert.equal((await store.get(recordKey(mark)))?.value, 2);
    });
  });

  describe('Loads', () => {
    async function filled(): Promise<Item[]> {
      const options = { ttl: 600, indexes: [`index${mark}`], terms: [`${order}:term`] };
      await store.set(recordKey(mark), { some: 'value' }, options);
      await store.consume(recordKey(mark));
      await store.set(recordKey(`${mark}durable`), 1, { indexes: [`index${mark}`] });
      await store.enlist(`index${mark}`, `member${mark}`, 300);
      await store.increment(`counter${mark}`, 7, 60);
      await store.setBits(`bitmap${mark}`, [0, 15], 60);
      return dumped(store, mark);
    }

    it('A load restores everything exactly, even if it is repeated', async () => {
      const items = await filled();
      await store.delete(recordKey(mark));
      await store.delete(recordKey(`${mark}durable`));
      await store.increment(`counter${mark}`, 100, 60);
      for (let times = 0; times < 2; times += 1) {
        await store.load(items);
        assert.deepEqual(await dumped(store, mark), items);
        const { keys } = await store.members(`index${mark}`);
        assert.deepEqual(keys, [`member${mark}`, recordKey(mark), recordKey(`${mark}durable`)]);
        assert.equal((await store.range(`${order}:`)).found.length, 1);
      }
      const { use } = await store.consume(recordKey(mark));
      assert.equal(use, 'already');
      assert.equal(await store.increment(`counter${mark}`, 1, 60), 8);
    });

    it('A load omits what has expired meanwhile, and the rest expires at its original time', async () => {
      const items = await filled();
      await store.delete(recordKey(mark));
      clock.advance(100);
      await store.load(items);
      const kinds = (await dumped(store, mark)).map(({ kind }) => kind);
      assert.deepEqual(kinds, ['member', 'record', 'record']);
      clock.advance(500);
      assert.equal(await store.get(recordKey(mark)), undefined);
      assert.equal((await store.range(`${order}:`)).found.length, 0);
    });

    it('A load overwrites existing records with their indexes, terms and use', async () => {
      const items = await filled();
      await store.set(recordKey(mark), 'other', { indexes: [`other${mark}`], terms: [`${order}:other`] });
      await store.set(recordKey(`${mark}durable`), 'other', { ttl: 10 });
      await store.load(items);
      assert.deepEqual(await dumped(store, mark), items);
      assert.deepEqual((await store.members(`other${mark}`)).keys, []);
      const { found } = await store.range(`${order}:`);
      assert.deepEqual(
        found.map(({ term }) => term),
        [`${order}:term`],
      );
    });

    it('A load keeps the versions, so that a version that was read before it can be replaced after it', async () => {
      const items = await filled();
      const read = await store.get(recordKey(mark));
      await store.delete(recordKey(mark));
      await store.load(items);
      assert.equal(await store.replace(recordKey(mark), 'next', read?.version ?? 0, { ttl: 60 }), true);
      assert.equal((await store.get(recordKey(mark)))?.version, (read?.version ?? 0) + 1);
    });
  });
}
