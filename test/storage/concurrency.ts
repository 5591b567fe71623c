import assert from 'node:assert/strict';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Key, Store } from '../../src/storage/store.ts';
import type { Backend, RunningBackend } from './backends.ts';
import type { Contest } from './contender.ts';
import type { Contenders } from './contest.ts';
import { startContenders } from './contest.ts';

/** Tries on each key: half from each of two processes. */
const TRIES = 50;
const KEYS = 20;
const LIFE = 600;

/** Of fifty at once, from two processes, exactly one wins, on every backend. */
export function concurrency(backend: Backend): void {
  let running: RunningBackend;
  let store: Store;
  let contenders: Contenders;

  before(async function () {
    this.timeout(60_000);
    running = await backend.start();
    [store, contenders] = await Promise.all([openStore(running.url, systemClock), startContenders(running.url)]);
  });
  after(async () => {
    await contenders.stop();
    await store.close();
    await running.stop();
  });

  const keysOf = (name: string): Key<unknown>[] => Array.from({ length: KEYS }, (_, at) => `${name}:${at}`);

  async function write(keys: Key<unknown>[]): Promise<number[]> {
    await Promise.all(keys.map((key) => store.set(key, 'start', { ttl: LIFE, indexes: ['all'] })));
    return (await store.getMany(keys)).map((record) => record?.version ?? 0);
  }

  async function contest(verb: Contest['verb'], keys: Key<unknown>[], versions: number[] = []): Promise<unknown[][]> {
    const answers = await contenders.contest({ verb, keys, versions, times: TRIES / 2 });
    for (const each of answers) assert.equal(each.length, TRIES);
    return answers;
  }

  function assertOneWinner(answers: unknown[][]): void {
    for (const each of answers) assert.equal(each.filter((won) => won === true).length, 1);
  }

  async function membersOf(index: string): Promise<string[]> {
    return (await store.members(index, { limit: 1000 })).keys.toSorted();
  }

  it('One of many concurrent creators creates the record, and the index contains it once', async () => {
    const keys = keysOf('create');
    assertOneWinner(await contest('create', keys));
    assert.deepEqual(await membersOf('all'), keys.toSorted());
    await Promise.all(keys.map((key) => store.delete(key)));
    assert.deepEqual(await membersOf('all'), []);
  });

  it('One of many concurrent users of a record learns that its use was the first', async () => {
    const keys = keysOf('consume');
    await write(keys);
    assertOneWinner(await contest('consume', keys));
    for (const late of await contest('consume', keys)) assert.ok(!late.includes(true));
  });

  it('One of many concurrent takers gets the record, and the record leaves its index', async () => {
    const keys = keysOf('take');
    await write(keys);
    assertOneWinner(await contest('take', keys));
    assert.deepEqual(
      await store.getMany(keys),
      keys.map(() => undefined),
    );
    for (const key of keys) assert.ok(!(await membersOf('all')).includes(key));
  });

  it('One of many concurrent writers replaces a version', async () => {
    const keys = keysOf('replace');
    const versions = await write(keys);
    assertOneWinner(await contest('replace', keys, versions));
    const found = await store.getMany(keys);
    assert.deepEqual(
      found.map((record) => record?.version),
      versions.map((version) => version + 1),
    );
  });

  it('Concurrent additions to a counter each count once', async () => {
    const sums = Array.from({ length: TRIES }, (_, at) => at + 1);
    for (const answers of await contest('increment', keysOf('count'))) {
      assert.deepEqual(
        answers.map(Number).toSorted((a, b) => a - b),
        sums,
      );
    }
  });

  it('Concurrent writers of a bitmap lose no bit', async () => {
    const keys = keysOf('bits').slice(0, 3);
    await contest('setBits', keys);
    for (const key of keys) {
      const bits = await store.readBits(String(key));
      assert.equal(bits.toString('hex'), 'ffffffffffffc0', 'the first fifty bits');
    }
  });

  it('Concurrent additions of index members without records lose none', async () => {
    const keys = keysOf('enlist').slice(0, 3);
    await contest('enlist', keys);
    const entries = Array.from({ length: TRIES }, (_, at) => `entry:${at}`);
    for (const key of keys) assert.deepEqual(await membersOf(`entries-of-${key}`), entries.toSorted());
  });

  it('Each record is in the index that its last write named, and in no other', async () => {
    const keys = keysOf('set');
    await contest('set', keys);
    const found = await store.getMany(keys);
    const named = new Map<string, string[]>();
    for (const [at, record] of found.entries()) {
      const index = String(record?.value);
      named.set(index, [...(named.get(index) ?? []), keys[at] ?? '']);
    }
    for (const index of Array.from({ length: TRIES }, (_, at) => `${at % 2}-${at >> 1}`)) {
      assert.deepEqual(await membersOf(index), (named.get(index) ?? []).toSorted(), index);
    }
  });
}
