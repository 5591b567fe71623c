import assert from 'node:assert/strict';
import { systemRandom } from '../../src/lib/random.ts';
import { IndexAllocator, type AllocatedIndex } from '../../src/status/index-allocator.ts';
import { LEEWAY } from '../../src/status/lists.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { postgres, redis, redisCluster, sqlite, type RunningBackend } from '../storage/backends.ts';
import { MovedClock } from '../support/clock.ts';

const LONGEST = 600;
const OPEN_FOR = 300;

for (const backend of [sqlite, redis, redisCluster, postgres]) {
  describe(`The index allocators of two nodes on ${backend.name}`, () => {
    let running: RunningBackend;
    let stores: [Store, Store];
    let clock: MovedClock;
    let nodes: [IndexAllocator, IndexAllocator];

    before(async function () {
      this.timeout(60_000);
      running = await backend.start();
    });
    after(() => running.stop());
    beforeEach(async () => {
      clock = new MovedClock();
      // Of another time than the last test's, so that its open list is closed.
      clock.advance(passed);
      passed += 100_000;
      stores = [await openStore(running.url, clock), await openStore(running.url, clock)];
      nodes = [node(stores[0]), node(stores[1])];
    });
    afterEach(() => Promise.all(stores.map((store) => store.close())));
    let passed = 0;

    function node(grants: Store, capacity?: number): IndexAllocator {
      const parts = { grants, clock, random: systemRandom, longest: LONGEST, openFor: OPEN_FOR };
      return new IndexAllocator({ ...parts, ...(capacity !== undefined && { capacity }) });
    }
    const take = (allocator: IndexAllocator, life = LONGEST): Promise<AllocatedIndex> =>
      allocator.take(clock.now() + life * 1000);
    const takeMany = (allocator: IndexAllocator, count: number): Promise<AllocatedIndex[]> =>
      Promise.all(Array.from({ length: count }, () => take(allocator)));
    const names = (taken: readonly AllocatedIndex[]): string[] => taken.map(({ list, idx }) => `${list.id}.${idx}`);

    it('Two nodes never allocate the same index, even for concurrent requests', async () => {
      const taken = (await Promise.all(nodes.map((allocator) => takeMany(allocator, 3000)))).flat();
      assert.equal(new Set(names(taken)).size, 6000);
      assert.equal(new Set(taken.map(({ list }) => list.id)).size, 1, 'both give them in one list');
    });

    it('The order of the indexes does not reveal how many tokens exist', async () => {
      const [first, second] = await Promise.all(nodes.map((allocator) => takeMany(allocator, 500)));
      const steps = (first ?? []).map(({ idx }, at) => idx - (first?.[at - 1]?.idx ?? idx));
      assert.ok(new Set(steps).size > 200);
      assert.ok(steps.filter((step) => step === 1).length < 20);
      assert.notDeepEqual(
        first?.map(({ idx }) => idx % 1024),
        second?.map(({ idx }) => idx % 1024),
      );
    });

    it('The allocators use another list when one is full', async () => {
      const small = [node(stores[0], 2048), node(stores[1], 2048)];
      const taken = (await Promise.all(small.map((allocator) => takeMany(allocator, 2500)))).flat();
      assert.equal(new Set(names(taken)).size, 5000);
      assert.ok(taken.every(({ idx }) => idx < 2048));
      assert.ok(new Set(taken.map(({ list }) => list.id)).size >= 3);
    });

    it('The allocators use another list after a time, and each list outlives the last of its tokens', async () => {
      const early = await take(nodes[0]);
      clock.advance(OPEN_FOR - 1);
      const last = await take(nodes[1]);
      assert.equal(last.list.id, early.list.id);
      assert.ok(last.list.endsAt >= clock.now() + LONGEST * 1000);
      clock.advance(1);
      const next = await take(nodes[0]);
      assert.notEqual(next.list.id, early.list.id);
      assert.equal((await take(nodes[1])).list.id, next.list.id);
      assert.ok(next.list.endsAt < clock.now() + 2 * (LONGEST + OPEN_FOR) * 1000, 'no list lives on for ever');
    });

    it('A token for which another configuration sets a longer lifetime gets a list that lasts long enough', async () => {
      await take(nodes[0]);
      const long = await take(nodes[1], 10 * LONGEST);
      assert.ok(long.list.endsAt >= clock.now() + 10 * LONGEST * 1000);
    });

    it('A list exists for a while after its last token has expired, for APIs whose clock is slow', async () => {
      const first = await take(nodes[0]);
      const last = (first.list.endsAt - clock.now()) / 1000;
      const late = await take(nodes[0], last);
      assert.ok(late.list.endsAt >= clock.now() + last * 1000 + LEEWAY);
    });

    it('The allocators stop using a list if the store has lost some of its state', async () => {
      const before = await takeMany(nodes[0], 1500);
      const [{ list } = assert.fail()] = before;
      // A counter that comes from an older copy begins again below what this node has been given.
      await stores[1].increment(`status-blocks:${list.id}`, -2, 1);
      const after = await takeMany(nodes[0], 3000);
      assert.equal(new Set(names([...before, ...after])).size, 4500);
    });

    it('The allocators stop using an abandoned list', async () => {
      const { list } = await take(nodes[0]);
      await nodes[0].abandon(list);
      assert.notEqual((await take(nodes[0])).list.id, list.id);
      await nodes[0].abandon(list);
    });
  });
}
