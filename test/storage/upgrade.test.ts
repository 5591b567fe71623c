import assert from 'node:assert/strict';
import { UPGRADES } from '../../src/domain/upgrades.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { everyMember } from '../../src/storage/every-member.ts';
import { FOLLOWED_AFTER, formatsOf, NEWEST_FORMAT, raiseFormat, StoreFormat } from '../../src/storage/format.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { openStores } from '../../src/storage/open-stores.ts';
import { keyspace, type Index, type Store } from '../../src/storage/store.ts';
import { upgradeStore, type UpgradeOptions, type UpgradeStep } from '../../src/storage/upgrade.ts';
import { startTestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { postgres, redis, sqlite, type RunningBackend } from './backends.ts';

interface Note {
  text: string;
  isLoud?: boolean;
}
const noteKey = keyspace<Note>('note');
const everyNote: Index<Note> = 'notes';
const NOTES = 30;

/** Writes every text in capitals, a few at a time. Each conversion is counted by the text. */
function loudStep(converted: string[] = []): UpgradeStep<Store> {
  return {
    to: 2,
    what: 'makes notes loud',
    async *convert(store, after) {
      if (after === 'end') return;
      let next = after;
      let before = converted.length;
      do {
        const page = await store.members(everyNote, { limit: 5, ...(next !== undefined && { after: next }) });
        for (const key of page.keys) {
          const note = await store.get(key);
          if (note === undefined || note.value.isLoud === true) continue;
          const loud = { text: note.value.text.toUpperCase(), isLoud: true };
          if (await store.replace(key, loud, note.version, { indexes: [everyNote] })) converted.push(loud.text);
        }
        next = page.next;
        yield { position: next ?? 'end', records: page.keys.length, changed: converted.length - before };
        before = converted.length;
      } while (next !== undefined);
    },
  };
}

async function texts(store: Store): Promise<string[]> {
  const found: string[] = [];
  for await (const keys of everyMember(store, everyNote)) {
    for (const stored of await store.getMany(keys)) if (stored !== undefined) found.push(stored.value.text);
  }
  return found.toSorted();
}

const LOUD = Array.from({ length: NOTES }, (_, at) => `NOTE ${String(at).padStart(2, '0')}`);

describe('The upgrade steps of Latchkey', () => {
  it('The upgrade steps lead from format 1 to the newest format one by one', () => {
    const formats = Array.from({ length: NEWEST_FORMAT - 1 }, (_, at) => at + 2);
    assert.deepEqual(
      UPGRADES.map(({ to }) => to),
      formats,
    );
  });
});

for (const backend of [sqlite, redis, postgres]) {
  describe(`The format of a store in ${backend.name}`, () => {
    let running: RunningBackend;
    let store: Store;
    /** Milliseconds by which the time of the store and of the nodes is moved. */
    let moved = 0;
    const clock = { now: () => Date.now() + moved };

    beforeEach(async () => {
      moved = 0;
      running = await backend.start();
      const opened = await openStore(running.url, systemClock);
      store = new Proxy(opened, {
        get(target, name) {
          if (name === 'time') return async () => (await target.time()) + moved;
          const own = Reflect.get(target, name) as unknown;
          return typeof own === 'function' ? (own.bind(target) as unknown) : own;
        },
      });
      for (const text of LOUD) {
        await store.create(noteKey(text), { text: text.toLowerCase() }, { indexes: [everyNote] });
      }
    });
    afterEach(async () => {
      await store.close();
      await running.stop();
    });

    const pause = (milliseconds: number) => Promise.resolve((moved += milliseconds));
    const upgrade = (given: Partial<UpgradeOptions<Store>> = {}) =>
      upgradeStore({ records: store, context: store, steps: [loudStep()], pause, told: () => undefined, ...given });
    const node = (newest: number) => StoreFormat.open(store, { place: 'the place', clock, newest });

    it('A store without a mark has format 1, and a new store has the newest format', async () => {
      assert.deepEqual(await (await node(3)).current(), { oldest: 1, writes: 1, reads: 1 });
      const first = await node(3);
      await first.markNewStore();
      assert.deepEqual(await first.current(), { oldest: 3, writes: 3, reads: 3 });
      await assert.rejects(
        node(2),
        /the store the place has format 3, and this version of Latchkey reads formats 1 to 2/,
      );
    });

    it('A store upgrade makes every node read the new format before the first node writes it', async () => {
      const other = await node(2);
      const seen: string[] = [];
      const told = (doing: string): void => {
        if (seen.at(-1) !== doing) seen.push(doing);
      };
      const formats: object[] = [await other.current()];
      await upgrade({
        told,
        pause: async (milliseconds) => {
          await pause(milliseconds);
          formats.push(await other.current());
        },
      });
      assert.deepEqual(
        seen,
        [1, 2]
          .map((at) => `waiting until every node ${at === 1 ? 'reads' : 'writes'} format 2`)
          .concat(['makes notes loud', 'makes notes loud, once more', 'makes notes loud, done']),
      );
      moved += FOLLOWED_AFTER;
      formats.push(await other.current());
      const stages = [...new Set(formats.map((one) => JSON.stringify(one)))].map((one) => JSON.parse(one) as unknown);
      assert.deepEqual(stages, [
        { oldest: 1, writes: 1, reads: 1 },
        { oldest: 1, writes: 1, reads: 2 },
        { oldest: 1, writes: 2, reads: 2 },
        { oldest: 2, writes: 2, reads: 2 },
      ]);
      assert.deepEqual(await texts(store), LOUD);
    });

    it('A node follows a new store format within seconds, and reads it from the store only then', async () => {
      const follower = await node(2);
      await raiseFormat(store, 'reads', 2);
      assert.equal((await follower.current()).reads, 1);
      moved += FOLLOWED_AFTER - 10_000;
      assert.equal((await follower.current()).reads, 2);
    });

    it('A store upgrade continues where an interrupted one stopped', async () => {
      const converted: string[] = [];
      let isCut = true;
      const told = (doing: string, records: number) => {
        if (isCut && doing === 'makes notes loud' && records >= 15) throw new Error('cut');
      };
      await assert.rejects(upgrade({ steps: [loudStep(converted)], told }), /cut/);
      assert.deepEqual(await formatsOf(store), { oldest: 1, writes: 2, reads: 2 });
      const before = converted.length;
      assert.ok(before >= 10 && before < NOTES, String(before));
      isCut = false;
      let waited = 0;
      const counts: number[] = [];
      await upgrade({
        steps: [loudStep(converted)],
        told: (_, records) => counts.push(records),
        pause: (milliseconds) => Promise.resolve((waited += milliseconds)),
      });
      assert.equal(waited, 0, 'every node follows already');
      assert.ok((counts[0] ?? 0) > 5, `the count goes on: ${String(counts[0])}`);
      assert.deepEqual(converted.toSorted(), LOUD, 'each note was converted once');
      assert.deepEqual(await formatsOf(store), { oldest: 2, writes: 2, reads: 2 });
    });

    it('A store upgrade repeats its step until a pass changes nothing, because a node may still write the old form', async () => {
      let isLate = true;
      const told = async (doing: string): Promise<void> => {
        if (doing !== 'makes notes loud' || !isLate) return;
        isLate = false;
        await store.create(noteKey('0 late'), { text: '0 late' }, { indexes: [everyNote] });
      };
      const late: Promise<void>[] = [];
      const changed = await upgrade({
        told: (doing) => void late.push(told(doing)),
        steps: [
          {
            ...loudStep(),
            async *convert(context, after) {
              for await (const converted of loudStep().convert(context, after)) {
                yield converted;
                await Promise.all(late);
              }
            },
          },
        ],
      });
      assert.equal(changed, NOTES + 1);
      assert.deepEqual(await texts(store), ['0 LATE', ...LOUD]);
    });

    it('A store upgrade mends a record of the old form in a store that has the new format', async () => {
      assert.equal(await upgrade(), NOTES);
      assert.equal(await upgrade(), 0);
      await store.set(noteKey('left'), { text: 'left' }, { indexes: [everyNote] });
      let waited = 0;
      const pause = (milliseconds: number) => Promise.resolve((waited += milliseconds));
      assert.equal(await upgrade({ pause }), 1);
      assert.equal(waited, 0, 'no node has to follow');
      assert.deepEqual(await texts(store), ['LEFT', ...LOUD]);
    });

    it('A raised part of the format mark raises the parts that may not be lower', async () => {
      await raiseFormat(store, 'writes', 2);
      assert.deepEqual(await formatsOf(store), { oldest: 1, writes: 2, reads: 2 });
      await raiseFormat(store, 'oldest', 3);
      assert.deepEqual(await formatsOf(store), { oldest: 3, writes: 3, reads: 3 });
      await store.set('store-format:main', { oldest: 2, writes: 1, reads: 1 });
      assert.deepEqual(await formatsOf(store), { oldest: 2, writes: 2, reads: 2 });
      assert.deepEqual(await (await node(2)).current(), { oldest: 2, writes: 2, reads: 2 });
    });

    it('Another process can continue a store upgrade after the clock was set back', async () => {
      await assert.rejects(
        upgrade({
          pause: () => {
            moved -= 3_600_000;
            return upgrade();
          },
        }),
        /another one upgrades the store now/,
      );
      assert.deepEqual(await formatsOf(store), { oldest: 2, writes: 2, reads: 2 });
    });

    it('One process at a time upgrades a store, and another can continue after the first has been silent', async () => {
      const { promise: held, resolve: release } = Promise.withResolvers<undefined>();
      const { promise: begun, resolve: begin } = Promise.withResolvers<undefined>();
      const first = upgrade({
        pause: () => {
          begin(undefined);
          return held;
        },
      });
      await begun;
      await assert.rejects(upgrade(), /another process upgrades the store, or was stopped less than 20 s ago/);
      moved += 30_000;
      await upgrade();
      release(undefined);
      await assert.rejects(first, /another one upgrades the store now/);
      assert.deepEqual(await formatsOf(store), { oldest: 2, writes: 2, reads: 2 });
      assert.deepEqual(await texts(store), LOUD);
    });
  });
}

describe('A server whose store a newer version has upgraded', () => {
  it('A server does not start on a store with a newer format, and answers 503 if it is already running', async () => {
    await using server = await startTestServer();
    const stores = await openStores(server.config.stores, systemClock);
    const ready = async (): Promise<number> => (await fetch(`${server.issuer}/readyz`)).status;
    try {
      assert.equal(await ready(), 200);
      await raiseFormat(stores.records, 'reads', NEWEST_FORMAT + 1);
      const refusal = new RegExp(`has format ${NEWEST_FORMAT + 1}, and this version of Latchkey reads format`);
      await assert.rejects(openStores(server.config.stores), refusal);
      await until(async () => (await ready()) === 503, 30_000);
    } finally {
      await stores.close();
    }
  }).timeout(60_000);
});
