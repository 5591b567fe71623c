import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import { Client } from 'pg';
import { parseStoreUrl } from '../../src/config/store-url.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Defect, Index, Store, Term } from '../../src/storage/store.ts';
import { backends, type RunningBackend } from './backends.ts';

const LATER = 8_000_000_000_000;
const DURABLE = Number.MAX_SAFE_INTEGER;
/** Milliseconds, so that no test waits for long. */
const patience = 300;

/** Puts entries without records into an index and an order, as a crash or a hand in the database leaves them. */
async function damage(url: string): Promise<void> {
  const parsed = parseStoreUrl(url);
  if (parsed.backend === 'sqlite') {
    const database = new DatabaseSync(parsed.path);
    const insert = database.prepare('INSERT INTO members (name, expires_at, key) VALUES (?, ?, ?)');
    insert.run('all', DURABLE, 'kind:lost');
    insert.run('all', LATER, 'kind:kept');
    insert.run('\u0001order:term', DURABLE, 'kind:lost');
    database.close();
    return;
  }
  if (parsed.backend === 'postgres') {
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(`INSERT INTO latchkey.members (name, expires_at, key) VALUES
      ('all', ${DURABLE}, 'kind:lost'), ('all', ${LATER}, 'kind:kept'), (E'\\x01\\x04order:term', ${DURABLE}, 'kind:lost')`);
    await client.end();
    return;
  }
  const { nodes, topology } = parsed;
  const admin =
    topology === 'cluster'
      ? new Cluster(nodes)
      : topology === 'sentinel'
        ? new Redis({ sentinels: nodes, name: parsed.sentinel ?? '' })
        : new Redis(url);
  await admin.zadd('index:all', '+inf', 'kind:lost\0crashed1');
  await admin.zadd('index:all', LATER, 'kind:kept\0crashed2');
  await admin.zadd('order:order', 0, `term\0${String(DURABLE).padStart(16, '0')}\0kind:lost\0crashed3`);
  admin.disconnect();
}

for (const backend of backends) {
  describe(`Defects of a store on ${backend.name}`, function () {
    this.timeout(60_000);
    let running: RunningBackend;
    let store: Store;
    const index: Index<unknown> = 'all';
    const term: Term<unknown> = 'order:term';

    before(async () => {
      running = await backend.start();
      store = await openStore(running.url, systemClock);
    });
    after(async () => {
      await store.close();
      await running.stop();
    });

    async function found(isRepaired: boolean): Promise<Defect[]> {
      const all: Defect[] = [];
      for await (const defects of store.defects({ isRepaired, patience })) all.push(...defects);
      return all.sort((a, b) => (`${a.key} ${a.name.length}` < `${b.key} ${b.name.length}` ? -1 : 1));
    }

    it('The store check finds defects, and a repair removes them without a change to other data', async () => {
      await store.set('kind:kept', 1, { indexes: [index], terms: [term] });
      await store.set('kind:short', 1, { ttl: 600, indexes: [index] });
      await store.enlist(index, 'without:record', 600);
      assert.deepEqual(await found(true), []);
      await damage(running.url);
      const looked = await found(false);
      assert.deepEqual(
        looked.map(({ what, key, isMended }) => [what, key, isMended]),
        [
          ['dangling', 'kind:kept', false],
          ['dangling', 'kind:lost', false],
          ['dangling', 'kind:lost', false],
        ],
      );
      assert.ok(looked.every(({ name }) => name === 'all' || name.includes('order')));
      assert.ok((await store.members(index)).keys.includes('kind:lost'), 'a look repairs nothing');
      assert.deepEqual(
        (await found(true)).map(({ isMended }) => isMended),
        [true, true, true],
      );
      assert.deepEqual(await found(false), []);
      assert.deepEqual((await store.members(index)).keys.toSorted(), ['kind:kept', 'kind:short', 'without:record']);
      assert.deepEqual((await store.range('order:')).found, [{ term, key: 'kind:kept' }]);
      // A record of that name can be written.
      await store.set('kind:lost', 1, { indexes: [index], terms: [term] });
      await store.delete('kind:lost');
    });

    it('A store repair changes nothing that other nodes write while it runs', async () => {
      const other = await openStore(running.url, systemClock);
      let isOver = false;
      const written = new Set<string>();
      const write = async (writer: number): Promise<void> => {
        for (let at = 0; !isOver; at += 1) {
          await nextTurn();
          const key = `busy:${writer}-${at % 20}`;
          await other.set(key, at, {
            indexes: [index, `busy-${at % 3}`],
            terms: [`order:${at % 7}`],
            ...(at % 2 && { ttl: 600 }),
          });
          written.add(key);
          if (at % 5 === 0) written.delete((await other.delete(key)) ? key : '');
        }
      };
      const writers = Promise.all([0, 1, 2, 3].map(write));
      const repaired: Defect[] = [];
      for (let rounds = 0; rounds < 3 || written.size < 40; rounds += 1) {
        repaired.push(...(await found(true)));
        await nextTurn();
      }
      isOver = true;
      await writers;
      assert.deepEqual(repaired, []);
      const inIndex = new Set<string>();
      for (let after: string | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
        const page = await store.members(index, { ...(after !== undefined && { after }) });
        for (const key of page.keys) inIndex.add(key);
        after = page.next;
      }
      assert.deepEqual(
        [...written].filter((key) => !inIndex.has(key)),
        [],
      );
      await other.close();
    });
  });
}

describe('Redis keys without an expiry', () => {
  it('The store repair sets the expiry that the Redis item states, and leaves durable records alone', async () => {
    const redis = backends.find(({ name }) => name === 'Redis') ?? assert.fail();
    const running = await redis.start();
    const store = await openStore(running.url, systemClock);
    const admin = new Redis(running.url);
    try {
      await store.set('kind:1', 1, { ttl: 600 });
      await store.increment('attempts:1', 1, 600);
      await store.setBits('status-bits:1', [1], 600);
      await store.set('kind:durable', 1);
      const names = ['record:kind:1', 'counter:attempts:1', 'bitmap:status-bits:1'];
      for (const name of names) assert.equal(await admin.persist(name), 1);
      for (const isRepaired of [false, true]) {
        const all: Defect[] = [];
        for await (const defects of store.defects({ isRepaired, patience })) all.push(...defects);
        assert.deepEqual(all.map(({ name, isMended }) => [name, isMended]).toSorted(), [
          ['bitmap', isRepaired],
          ['counter', isRepaired],
          ['record', isRepaired],
        ]);
      }
      for (const name of names) {
        const life = await admin.pttl(name);
        assert.ok(life > 500_000 && life <= 600_000, `${name}: ${life}`);
      }
      assert.equal(await admin.pttl('record:kind:durable'), -1);
    } finally {
      admin.disconnect();
      await store.close();
      await running.stop();
    }
  });
});
