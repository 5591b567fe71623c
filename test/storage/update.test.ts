import assert from 'node:assert/strict';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { keyspace, type Store } from '../../src/storage/store.ts';
import { update, upsert } from '../../src/storage/update.ts';
import { sqlite, type RunningBackend } from './backends.ts';

interface Count {
  of: number;
}

const countKey = keyspace<Count>('count');
const more = ({ of }: Count): Count => ({ of: of + 1 });
const AT_ONCE = 40;

describe('Updates of a record', () => {
  let backend: RunningBackend;
  let store: Store;
  let key: ReturnType<typeof countKey>;
  let made = 0;

  before(async () => {
    backend = await sqlite.start();
    store = await openStore(backend.url, systemClock);
  });
  after(async () => {
    await store.close();
    await backend.stop();
  });
  beforeEach(() => (key = countKey(String((made += 1)))));

  const read = () => store.get(key);
  const value = async () => (await read())?.value.of;

  it('A record update succeeds once for each of many callers that read the same version', async () => {
    await store.set(key, { of: 0 });
    const stored = await read();
    const callers = Array.from({ length: AT_ONCE }, () => update(store, key, stored, async (now) => more(now)));
    const results = (await Promise.all(callers)).map((now) => now?.of ?? 0);
    assert.deepEqual(
      results.toSorted((a, b) => a - b),
      Array.from({ length: AT_ONCE }, (_, at) => at + 1),
    );
    assert.equal(await value(), AT_ONCE);
  });

  it('A record update that has nothing to change leaves the record as others wrote it', async () => {
    await store.set(key, { of: 5 });
    const before = await read();
    assert.deepEqual(await update(store, key, before, () => undefined), { of: 5 });
    assert.deepEqual(await read(), before);
  });

  it('A record update does not restore a record that was deleted meanwhile', async () => {
    await store.set(key, { of: 5 });
    const change = async (now: Count): Promise<Count> => {
      await store.delete(key);
      return more(now);
    };
    assert.equal(await update(store, key, await read(), change), undefined);
    assert.equal(await value(), undefined);
  });

  it('The result of a record update can set the record’s lifetime', async () => {
    await store.set(key, { of: 1 }, { ttl: 60 });
    const less = ({ of }: Count): Count => ({ of: of - 1 });
    assert.deepEqual(await update(store, key, await read(), less, ({ of }) => ({ ttl: of > 0 ? 60 : 0 })), { of: 0 });
    assert.equal(await read(), undefined);
  });

  it('An upsert creates the record for one of many callers, and updates it for the others', async () => {
    const callers = Array.from({ length: AT_ONCE }, () =>
      upsert(store, key, undefined, { first: { of: 1 }, change: more }),
    );
    await Promise.all(callers);
    assert.equal(await value(), AT_ONCE);
  });

  it('An upsert creates the record again if it was deleted between two reads', async () => {
    await store.set(key, { of: 5 });
    let looks = 0;
    const change = async (now: Count): Promise<Count> => {
      if ((looks += 1) === 1) await store.delete(key);
      return more(now);
    };
    assert.deepEqual(await upsert(store, key, await read(), { first: { of: 1 }, change }), { of: 1 });
    assert.equal(await value(), 1);
  });
});
