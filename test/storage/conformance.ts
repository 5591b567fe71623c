import assert from 'node:assert/strict';
import { once } from 'node:events';
import { openStore } from '../../src/storage/open-store.ts';
import type { Counter, Index, Key, Store } from '../../src/storage/store.ts';
import { keyspace, StoreUnavailable } from '../../src/storage/store.ts';
import type { Backend, RunningBackend } from './backends.ts';
import { MovedClock } from '../support/clock.ts';
import { ODD_NAMES, ODD_VALUES } from './odd.ts';

const recordKey = keyspace<unknown>('record');

/** What every backend does alike. */
export function conformance(backend: Backend): void {
  const clock = new MovedClock();
  let running: RunningBackend;
  let store: Store;
  let count = 0;
  let key: Key<unknown>;
  let index: Index<unknown>;

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
    key = recordKey(`${count}`);
    index = `index-${count}`;
  });

  /** Every key of an index, page by page. */
  async function walk(limit: number): Promise<string[]> {
    const pages: string[][] = [];
    let after: string | undefined;
    do {
      const page = await store.members(index, { limit, ...(after !== undefined && { after }) });
      assert.ok(page.keys.length <= limit);
      pages.push(page.keys);
      after = page.next;
    } while (after !== undefined);
    return pages.flat();
  }

  async function version(): Promise<number> {
    return (await store.get(key))?.version ?? assert.fail('no record');
  }

  describe('Reads and writes', () => {
    it('The store finds nothing under a key that nobody has written', async () => {
      assert.equal(await store.get(key), undefined);
      assert.equal(await store.take(key), undefined);
      assert.equal(await store.delete(key), false);
      assert.deepEqual(await store.consume(key), { use: 'absent' });
      assert.equal(await store.replace(key, 1, 1), false);
      assert.equal(await store.get(key), undefined);
    });

    it('The store returns the last value that was set', async () => {
      await store.set(key, { first: true }, { ttl: 60 });
      await store.set(key, { second: [1, 'two', null] });
      const { value, expiresAt } = (await store.get(key)) ?? assert.fail();
      assert.deepEqual(value, { second: [1, 'two', null] });
      assert.equal(expiresAt, undefined);
    });

    it('A record says when it expires', async () => {
      await store.set(key, 1, { ttl: 61 });
      assert.equal((await store.get(key))?.expiresAt, clock.now() + 61_000);
    });

    it('Each write of a record has a greater version', async () => {
      await store.set(key, 1);
      const first = await version();
      await store.set(key, 2);
      const second = await version();
      assert.ok(await store.replace(key, 3, second));
      assert.ok(first < second && second < (await version()));
    });

    it('The store reads many records in the order of the keys, with a gap for each missing one', async () => {
      const keys = ['a', 'b', 'c', 'd'].map((id) => recordKey(`${count}-${id}`));
      for (const [at, each] of keys.entries()) if (at !== 2) await store.set(each, at);
      const found = await store.getMany([...keys].reverse());
      assert.deepEqual(
        found.map((record) => record?.value),
        [3, undefined, 1, 0],
      );
      assert.deepEqual(await store.getMany([]), []);
    });

    it('A record can be created only once', async () => {
      assert.equal(await store.create(key, 'first', { ttl: 60 }), true);
      assert.equal(await store.create(key, 'second', { ttl: 900 }), false);
      assert.equal((await store.get(key))?.value, 'first');
      assert.equal((await store.get(key))?.expiresAt, clock.now() + 60_000);
    });

    it('A replace succeeds only for the version that was read', async () => {
      await store.set(key, 'old');
      const read = await version();
      assert.equal(await store.replace(key, 'new', read, { ttl: 30 }), true);
      assert.equal(await store.replace(key, 'late', read), false);
      assert.equal((await store.get(key))?.value, 'new');
      assert.equal((await store.get(key))?.expiresAt, clock.now() + 30_000);
    });

    it('A replace increases the version by one', async () => {
      await store.set(key, 'old');
      const read = await version();
      await store.replace(key, 'new', read);
      assert.equal(await version(), read + 1);
    });

    it('A replace with a lifetime of 0 seconds deletes only the version that was read', async () => {
      await store.set(key, 'old', { indexes: [index] });
      const read = await version();
      assert.equal(await store.replace(key, 'late', read - 1, { ttl: 0 }), false);
      assert.equal((await store.get(key))?.value, 'old');
      assert.equal(await store.replace(key, 'old', read, { ttl: 0 }), true);
      assert.equal(await store.get(key), undefined);
      assert.deepEqual((await store.members(index)).keys, []);
      assert.equal(await store.create(key, 'next'), true);
      assert.equal(await store.replace(key, 'late', read + 1), false);
    });

    it('A replace fails if the record was deleted and created again since it was read', async () => {
      await store.set(key, 'old');
      const read = await version();
      await store.delete(key);
      await store.create(key, 'other');
      assert.equal(await store.replace(key, 'late', read), false);
    });

    it('A record can be taken only once', async () => {
      await store.set(key, 'value', { ttl: 60 });
      const taken = await store.take(key);
      assert.equal(taken?.value, 'value');
      assert.equal(taken.expiresAt, clock.now() + 60_000);
      assert.equal(await store.take(key), undefined);
      assert.equal(await store.get(key), undefined);
    });

    it('A delete reports whether the record existed', async () => {
      await store.set(key, 1);
      assert.equal(await store.delete(key), true);
      assert.equal(await store.delete(key), false);
    });
  });

  describe('The first use of a record', () => {
    it('Every later use learns that it is not the first, and when the first was', async () => {
      await store.set(key, 'code', { ttl: 600 });
      const at = clock.now();
      assert.deepEqual(await store.consume(key), { use: 'first' });
      clock.advance(5);
      assert.deepEqual(await store.consume(key), { use: 'already', at });
      assert.deepEqual(await store.consume(key), { use: 'already', at });
      assert.equal((await store.get(key))?.consumedAt, at);
      assert.equal((await store.take(key))?.consumedAt, at);
    });

    it('The first use leaves the value, version and expiry unchanged', async () => {
      await store.set(key, 'code', { ttl: 600 });
      const former = (await store.get(key)) ?? assert.fail();
      await store.consume(key);
      assert.deepEqual(await store.get(key), { ...former, consumedAt: clock.now() });
    });

    it('A used record stays used after a replace', async () => {
      await store.set(key, 'code');
      const read = await version();
      await store.consume(key);
      assert.ok(await store.replace(key, 'more', read));
      assert.equal((await store.consume(key)).use, 'already');
    });

    it('A used record is unused again after a set', async () => {
      await store.set(key, 'code');
      await store.consume(key);
      await store.set(key, 'code');
      assert.equal((await store.get(key))?.consumedAt, undefined);
      assert.deepEqual(await store.consume(key), { use: 'first' });
    });

    it('A used record is unused again after it expired and was created again', async () => {
      await store.set(key, 'code', { ttl: 60 });
      await store.consume(key);
      clock.advance(60);
      assert.ok(await store.create(key, 'code', { ttl: 60 }));
      assert.deepEqual(await store.consume(key), { use: 'first' });
    });
  });

  describe('Expiry', () => {
    it('A record expires at its exact time for every operation', async () => {
      await store.set(key, 1, { ttl: 60 });
      const read = await version();
      clock.advance(59.999);
      assert.equal((await store.get(key))?.value, 1);
      clock.advance(0.001);
      assert.equal(await store.get(key), undefined);
      assert.deepEqual(await store.getMany([key]), [undefined]);
      assert.deepEqual(await store.consume(key), { use: 'absent' });
      assert.equal(await store.replace(key, 2, read), false);
      assert.equal(await store.delete(key), false);
    });

    it('An expired record cannot be taken', async () => {
      await store.set(key, 1, { ttl: 60 });
      clock.advance(60);
      assert.equal(await store.take(key), undefined);
    });

    it('An expired record does not prevent another with its key', async () => {
      await store.create(key, 'old', { ttl: 60 });
      clock.advance(60);
      assert.equal(await store.create(key, 'new', { ttl: 60 }), true);
      assert.equal((await store.get(key))?.value, 'new');
    });

    it('A later write can postpone or cancel the expiry', async () => {
      await store.set(key, 1, { ttl: 60 });
      assert.ok(await store.replace(key, 2, await version(), { ttl: 120 }));
      clock.advance(90);
      assert.ok(await store.replace(key, 3, await version()));
      clock.advance(1_000_000);
      assert.equal((await store.get(key))?.value, 3);
    });

    it('A durable record never expires', async () => {
      await store.set(key, 1);
      clock.advance(10 * 365 * 86_400);
      assert.equal((await store.get(key))?.value, 1);
    });
  });

  describe('Indexes', () => {
    const add = (id: string, ttl?: number) =>
      store.set(recordKey(`${count}-${id}`), id, { indexes: [index], ...(ttl !== undefined && { ttl }) });
    const ids = (keys: string[]) => keys.map((each) => each.replace(`record:${count}-`, ''));

    it('An index without members is empty', async () => {
      assert.deepEqual(await store.members(index), { keys: [] });
    });

    it('The index orders members by expiry and then by key, with durable ones last, for every page size', async () => {
      for (const [id, ttl] of [['z'], ['y'], ['b', 60], ['a', 60], ['c', 30], ['aa', 60]] as const) await add(id, ttl);
      for (const limit of [1, 2, 3, 5, 6, 100]) {
        assert.deepEqual(ids(await walk(limit)), ['c', 'a', 'aa', 'b', 'y', 'z'], `pages of ${limit}`);
      }
    });

    it('A page of an index has 100 members by default', async () => {
      await Promise.all(Array.from({ length: 101 }, (_, at) => add(String(at))));
      assert.equal((await store.members(index)).keys.length, 100);
      assert.equal(new Set(await walk(40)).size, 101);
    });

    it('The next page continues at the right place if its cursor’s member was deleted and others were added', async () => {
      for (const id of ['a', 'b', 'c', 'd']) await add(id);
      const page = await store.members(index, { limit: 2 });
      await store.delete(recordKey(`${count}-b`));
      await add('aa');
      await add('bb');
      const rest = await store.members(index, { after: page.next ?? assert.fail() });
      assert.deepEqual(ids(rest.keys), ['bb', 'c', 'd']);
    });

    it('The next page starts at the soonest expiry if the cursor’s member has expired', async () => {
      await add('a', 10);
      await add('b', 20);
      await add('c', 30);
      const page = await store.members(index, { limit: 1 });
      clock.advance(15);
      assert.deepEqual(ids((await store.members(index, { after: page.next ?? assert.fail() })).keys), ['b', 'c']);
    });

    it('An index loses its members as they expire', async () => {
      await add('a', 10);
      await add('b', 20);
      await add('c');
      clock.advance(10);
      assert.deepEqual(ids(await walk(10)), ['b', 'c']);
      clock.advance(10);
      assert.deepEqual(ids(await walk(10)), ['c']);
    });

    it('A new member that expires sooner does not shorten the life of the other members', async () => {
      await add('long', 1000);
      await add('short', 1);
      clock.advance(10);
      assert.deepEqual(ids(await walk(10)), ['long']);
    });

    it('An index follows a record to its new expiry', async () => {
      await add('a', 10);
      await add('b', 20);
      await add('a', 30);
      assert.deepEqual(ids(await walk(10)), ['b', 'a']);
      await add('b');
      assert.deepEqual(ids(await walk(10)), ['a', 'b']);
      await add('b', 5);
      assert.deepEqual(ids(await walk(10)), ['b', 'a']);
    });

    it('An index contains exactly the records whose last write named it', async () => {
      const other: Index<unknown> = `other-${count}`;
      await store.set(key, 1, { indexes: [index, other, index] });
      assert.deepEqual((await store.members(index)).keys, [key]);
      await store.set(key, 2, { indexes: [other] });
      assert.deepEqual((await store.members(index)).keys, []);
      assert.deepEqual((await store.members(other)).keys, [key]);
      assert.ok(await store.replace(key, 3, await version(), { indexes: [index] }));
      assert.deepEqual((await store.members(index)).keys, [key]);
      assert.deepEqual((await store.members(other)).keys, []);
      await store.set(key, 4);
      assert.deepEqual((await store.members(index)).keys, []);
    });

    it('A write that fails leaves the indexes unchanged', async () => {
      const other: Index<unknown> = `other-${count}`;
      await store.set(key, 1, { ttl: 60, indexes: [index] });
      assert.equal(await store.create(key, 2, { ttl: 600, indexes: [index, other] }), false);
      assert.equal(await store.replace(key, 3, 1, { indexes: [other] }), false);
      assert.deepEqual((await store.members(other)).keys, []);
      assert.deepEqual((await store.members(index)).keys, [key]);
      clock.advance(60);
      assert.deepEqual((await store.members(index)).keys, []);
    });

    it('A record that is taken or deleted leaves its index', async () => {
      await store.create(key, 1, { indexes: [index] });
      await store.take(key);
      assert.deepEqual((await store.members(index)).keys, []);
      await store.create(key, 1, { indexes: [index] });
      await store.delete(key);
      assert.deepEqual((await store.members(index)).keys, []);
    });

    it('An index can contain members without records beside those with records', async () => {
      const [early, late] = [recordKey(`${count}-early`), recordKey(`${count}-late`)];
      await store.enlist(index, late, 300);
      await store.set(key, 1, { ttl: 200, indexes: [index] });
      await store.enlist(index, early, 100);
      for (const limit of [1, 2, 100]) assert.deepEqual(await walk(limit), [early, key, late]);
      assert.equal(await store.get(early), undefined);
      assert.equal(await store.delete(early), false);
      clock.advance(100);
      assert.deepEqual(await walk(100), [key, late]);
      clock.advance(200);
      assert.deepEqual(await walk(100), []);
    });

    it('A member that is added again stays until the later expiry', async () => {
      await store.enlist(index, key, 300);
      await store.enlist(index, key, 100);
      clock.advance(200);
      assert.deepEqual(await walk(100), [key]);
      await store.enlist(index, key, 300);
      clock.advance(200);
      assert.deepEqual(await walk(100), [key]);
    });

    it('An index, a record, a counter and a bitmap can have the same name', async () => {
      const name = `same-${count}`;
      const record: Key<unknown> = name;
      await store.set(record, 1, { indexes: [name] });
      await store.increment(name, 2, 60);
      await store.setBits(name, [7], 60);
      assert.equal((await store.get(record))?.value, 1);
      assert.deepEqual((await store.members(name)).keys, [name]);
      assert.equal(await store.increment(name, 1, 60), 3);
      assert.deepEqual(await store.readBits(name), Buffer.from([1]));
    });

    it('An invented cursor gets an empty page or a part of the index', async () => {
      await add('a', 60);
      await add('b');
      for (const after of [
        '',
        '.',
        'x',
        'NaN.YQ',
        '1e99.YQ',
        '-1.YQ',
        '0.',
        'Infinity.!',
        '%00',
        "'; DROP TABLE members",
      ]) {
        const page = await store.members(index, { after });
        assert.ok(ids(page.keys).every((id) => id === 'a' || id === 'b'));
        assert.deepEqual(ids(await walk(10)), ['a', 'b']);
      }
    });
  });

  describe('Counters', () => {
    it('A counter adds up from its first addition until it expires', async () => {
      const counter: Counter = `counter-${count}`;
      assert.equal(await store.increment(counter, 2, 60), 2);
      clock.advance(30);
      assert.equal(await store.increment(counter, 3, 60), 5);
      assert.equal(await store.increment(counter, -1, 60), 4);
      clock.advance(30);
      assert.equal(await store.increment(counter, 1, 60), 1);
    });
  });

  describe('Bitmaps', () => {
    it('A bitmap is empty at first', async () => {
      assert.deepEqual(await store.readBits(`bitmap-${count}`), Buffer.alloc(0));
    });

    it('A bitmap grows with the bits that are set, and bit 0 is the highest of byte 0', async () => {
      await store.setBits(`bitmap-${count}`, [0], 60);
      assert.deepEqual(await store.readBits(`bitmap-${count}`), Buffer.from([0x80]));
      await store.setBits(`bitmap-${count}`, [7, 9, 23], 60);
      assert.deepEqual(await store.readBits(`bitmap-${count}`), Buffer.from([0x81, 0x40, 0x01]));
      await store.setBits(`bitmap-${count}`, [9], 60);
      assert.deepEqual(await store.readBits(`bitmap-${count}`), Buffer.from([0x81, 0x40, 0x01]));
    });

    it('A bitmap can contain a million bits', async () => {
      await store.setBits(`bitmap-${count}`, [999_999, 3], 60);
      const bits = await store.readBits(`bitmap-${count}`);
      assert.equal(bits.length, 125_000);
      assert.equal(bits[0], 0x10);
      assert.equal(bits[124_999], 0x01);
    });

    it('Each write of a bitmap postpones its expiry', async () => {
      await store.setBits(`bitmap-${count}`, [1], 60);
      clock.advance(59);
      await store.setBits(`bitmap-${count}`, [2], 60);
      clock.advance(59);
      assert.deepEqual(await store.readBits(`bitmap-${count}`), Buffer.from([0x60]));
      clock.advance(1);
      assert.deepEqual(await store.readBits(`bitmap-${count}`), Buffer.alloc(0));
      await store.setBits(`bitmap-${count}`, [3], 60);
      assert.deepEqual(await store.readBits(`bitmap-${count}`), Buffer.from([0x10]));
    });
  });

  describe('Unusual values and names', () => {
    for (const [title, value] of ODD_VALUES) {
      it(`The store returns ${title} unchanged`, async () => {
        await store.set(key, value);
        assert.deepEqual((await store.get(key))?.value, value);
      });
    }

    for (const name of ODD_NAMES) {
      it(`The store accepts ${JSON.stringify(name.slice(0, 30))} as a name`, async () => {
        const odd = recordKey(`${count}-${name}`);
        const oddIndex: Index<unknown> = `${count}-${name}`;
        await store.set(odd, 1, { indexes: [oddIndex] });
        assert.equal((await store.get(odd))?.value, 1);
        assert.deepEqual((await store.members(oddIndex)).keys, [odd]);
        assert.equal(await store.increment(`${count}-${name}`, 1, 60), 1);
        await store.setBits(`${count}-${name}`, [0], 60);
        assert.equal((await store.readBits(`${count}-${name}`)).length, 1);
        assert.equal(await store.get(recordKey(`${count}-${name}x`)), undefined);
        assert.equal(await store.delete(odd), true);
        assert.deepEqual((await store.members(oddIndex)).keys, []);
      });
    }
  });

  describe('Notices', () => {
    it('A notice reaches every listener of its channel, on this node and on another', async () => {
      const other = await openStore(running.url, clock);
      const heard = new EventTarget();
      const wait = (who: string) => once(heard, who);
      const channel = `channel-${count}`;
      const stops = [
        await store.subscribe(channel, (message) => heard.dispatchEvent(new Event(`here ${message}`))),
        await other.subscribe(channel, (message) => heard.dispatchEvent(new Event(`there ${message}`))),
      ];
      await Promise.all([wait('here "ü"'), wait('there "ü"'), store.publish(channel, '"ü"')]);
      await Promise.all([wait('here 2'), wait('there 2'), other.publish(channel, '2')]);
      for (const stop of stops) await stop();
      await other.close();
    });

    it('A listener hears no notice of another channel, and none after its subscription has ended', async () => {
      const heard: string[] = [];
      const marker = new EventTarget();
      const stop = await store.subscribe('one', (message) => heard.push(message));
      const stopTwo = await store.subscribe('two', (message) => marker.dispatchEvent(new Event(message)));
      await Promise.all([once(marker, 'end'), store.publish('other', 'x'), store.publish('two', 'end')]);
      await stop();
      await store.publish('one', 'y');
      await Promise.all([once(marker, 'again'), store.publish('two', 'again')]);
      await stopTwo();
      assert.deepEqual(heard, []);
    });
  });

  describe('The health of the store', () => {
    it('The store is healthy while the backend answers, and fails after it is closed', async () => {
      const other = await openStore(running.url, clock);
      await other.health();
      await other.close();
      await assert.rejects(other.health(), StoreUnavailable);
      await assert.rejects(other.get(key), StoreUnavailable);
      await store.health();
    });

    it('A store can be closed twice', async () => {
      const other = await openStore(running.url, clock);
      await other.close();
      await other.close();
    });
  });
}
