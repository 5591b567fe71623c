import assert from 'node:assert/strict';
import { setImmediate as nextRound } from 'node:timers/promises';
import type { Lease } from '../../src/storage/lease.ts';
import { QueueWorker } from '../../src/storage/queue-worker.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { keyspace, type Key, type Store } from '../../src/storage/store.ts';
import { pauseAfter, WorkQueue } from '../../src/storage/work-queue.ts';
import { MovedClock } from '../support/clock.ts';
import { storesAround } from '../support/stores-around.ts';
import { until } from '../support/until.ts';
import { postgres, redis, sqlite, type RunningBackend } from './backends.ts';
import { AT_ONCE, jobs, LEASE, WorkingNode, type Job } from './working-node.ts';

const jobKey = keyspace<Job>('job');
type Work = (lease: Lease<Job>) => Promise<unknown>;
const finish: Work = (lease) => lease.done();

for (const backend of [sqlite, redis, postgres]) {
  describe(`A work queue of two nodes with 25 workers each on ${backend.name}`, function () {
    this.timeout(120_000);
    const clock = new MovedClock();
    let running: RunningBackend;
    let store: Store;
    let nodes: WorkingNode[];
    /** The names of the nodes that have begun each record. */
    let begun: Map<Key<Job>, string[]>;
    /** Opened when held work may go on, for each node. */
    let gates: Map<string, PromiseWithResolvers<void>>;
    let count = 0;

    before(async () => {
      running = await backend.start();
      store = await openStore(running.url, clock);
    });
    beforeEach(() => {
      nodes = [];
      begun = new Map();
      gates = new Map();
    });
    afterEach(async () => {
      for (const gate of gates.values()) gate.resolve();
      await Promise.all(nodes.map((node) => node.close()));
    });
    after(async () => {
      await store.close();
      await running.stop();
    });

    const openGate = (node: string): void => gates.get(node)?.resolve();

    /** Notes that a record was begun, waits until the node's gate is open, and does the rest. */
    async function open(name: string, rest: Work = finish): Promise<WorkingNode> {
      const gate: PromiseWithResolvers<void> = Promise.withResolvers();
      gates.set(name, gate);
      const node = await WorkingNode.open(running.url, clock, async (lease) => {
        begun.set(lease.key, [...(begun.get(lease.key) ?? []), name]);
        await gate.promise;
        await rest(lease);
      });
      nodes.push(node);
      return node;
    }

    async function addJobs(many: number): Promise<Key<Job>[]> {
      const keys = Array.from({ length: many }, () => jobKey(String((count += 1))));
      const queue = new WorkQueue({ store, clock, index: jobs, life: 3600, lease: LEASE });
      await Promise.all(keys.map((key) => queue.add(key, { dueAt: clock.now(), attempts: 0 })));
      return keys;
    }

    const isEmpty = async (): Promise<boolean> => (await store.members(jobs)).keys.length === 0;

    const begunBy = (name: string): Key<Job>[] =>
      [...begun].filter(([, names]) => names.includes(name)).map(([key]) => key);

    async function hasLooked(node: WorkingNode): Promise<void> {
      const before = node.looks;
      await until(() => node.looks >= before + 3);
    }

    /** Moves the clock by so many leases, in steps that each leave the time for renewals. */
    async function passLeases(leases: number, keys: readonly Key<Job>[]): Promise<void> {
      for (let half = 0; half < 2 * leases; half += 1) {
        clock.advance(LEASE / 2000);
        const isRenewed = async () => {
          const found = await store.getMany(keys);
          return found.every((job) => (job?.value.dueAt ?? 0) >= clock.now() + LEASE);
        };
        await until(isRenewed);
      }
    }

    it('Two nodes process every queued record once, even if they claim together and the work outlasts leases', async () => {
      const [one, other] = await Promise.all([open('one'), open('other')]);
      const held = await addJobs(40);
      for (const node of [one, other]) void node.worker.now(held);
      for (const node of [one, other]) node.worker.start();
      await until(() => begun.size === held.length);
      await passLeases(3, held);
      // One node is full, so it does not look. The other has room for whatever it finds due.
      await hasLooked(begunBy('one').length < AT_ONCE ? one : other);
      const keys = [...held, ...(await addJobs(160))];
      openGate('one');
      openGate('other');
      await until(isEmpty);
      clock.advance(10 * LEASE);
      await Promise.all([one, other].map(hasLooked));
      assert.deepEqual([...begun.keys()].toSorted(), keys.toSorted());
      for (const [key, names] of begun) assert.equal(names.length, 1, key);
      assert.ok(begunBy('one').length > 0 && begunBy('other').length > 0);
      assert.ok(one.most <= AT_ONCE && other.most <= AT_ONCE);
      assert.deepEqual([one.failures, other.failures], [[], []]);
    });

    it('The other node does a killed node’s work after its lease has ended, and nothing is lost', async () => {
      const [dying, other] = await Promise.all([open('dying'), open('other')]);
      const keys = await addJobs(60);
      void dying.worker.now(keys);
      await until(() => begunBy('dying').length === AT_ONCE);
      dying.kill();
      openGate('other');
      other.worker.start();
      await until(() => begun.size === keys.length);
      await hasLooked(other);
      const left = begunBy('dying');
      for (const key of left) assert.deepEqual(begun.get(key), ['dying'], 'before the lease has ended');
      openGate('dying');
      clock.advance(LEASE / 1000);
      await until(isEmpty);
      for (const key of keys) assert.deepEqual(begun.get(key), left.includes(key) ? ['dying', 'other'] : ['other']);
    });

    it('A node that was suspended beyond its queue lease cannot overwrite the claim of another', async () => {
      const settled: boolean[] = [];
      const stopped = await open('stopped', async (lease) => {
        const change = (now: Job): Job => ({ ...now, dueAt: clock.now(), attempts: 99 });
        const ways = [
          () => lease.done(),
          () => lease.reschedule(change),
          () => lease.renew(change),
          () => lease.idle(change),
        ];
        settled.push((await ways[settled.length % ways.length]?.()) ?? true);
      });
      const other = await open('other');
      const keys = await addJobs(20);
      void stopped.worker.now(keys);
      await until(() => begun.size === keys.length);
      stopped.stop();
      clock.advance(LEASE / 1000);
      void other.worker.now(keys);
      await until(() => begunBy('other').length === keys.length);
      stopped.resume();
      openGate('stopped');
      await until(() => settled.length === keys.length);
      assert.ok(!settled.includes(true));
      const found = await store.getMany(keys);
      for (const job of found) assert.equal(job?.value.attempts, 2);
      openGate('other');
      await until(isEmpty);
      assert.deepEqual(other.failures, []);
    });

    it('The work queue repeats failed work after each pause, and drops it after the last', async () => {
      const pauses = [1, 4];
      const attempts: number[] = [];
      const node = await open('node', async (lease) => {
        attempts.push(lease.value.attempts);
        const pause = pauseAfter(lease.value.attempts, pauses);
        if (pause === undefined) await lease.done();
        else await lease.reschedule((now) => ({ ...now, dueAt: clock.now() + pause }));
        assert.equal(await lease.renew(), false, 'the lease is over');
      });
      openGate('node');
      await addJobs(1);
      node.worker.start();
      for (const [at, seconds] of [...pauses, 0].entries()) {
        await until(() => attempts.length === at + 1);
        await hasLooked(node);
        clock.advance(seconds - 0.001);
        await hasLooked(node);
        assert.equal(attempts.length, at + 1);
        clock.advance(0.001);
      }
      assert.ok(await isEmpty());
      assert.deepEqual(attempts, [1, 2, 3]);
      assert.deepEqual(node.failures, []);
    });

    it('The work queue repeats work that ended with an error after its lease', async () => {
      const node = await open('node', (lease) =>
        lease.value.attempts === 1 ? Promise.reject(new Error('away')) : lease.done(),
      );
      openGate('node');
      const [key = ''] = await addJobs(1);
      node.worker.start();
      await until(() => node.failures.length === 1);
      await hasLooked(node);
      assert.deepEqual(begun.get(key), ['node']);
      clock.advance(LEASE / 1000);
      await until(isEmpty);
      assert.deepEqual(begun.get(key), ['node', 'node']);
    });

    it('A queue worker that closes waits for its running work, and starts no more', async () => {
      const node = await open('node');
      await addJobs(AT_ONCE - 5);
      node.worker.start();
      await until(() => begun.size === AT_ONCE - 5);
      let isClosed = false;
      const closed = node.worker.close().then(() => (isClosed = true));
      const late = await addJobs(5);
      await node.worker.now(late);
      for (let rounds = 0; rounds < 10; rounds += 1) await nextRound();
      assert.equal(isClosed, false);
      openGate('node');
      await closed;
      assert.deepEqual((await store.members(jobs)).keys.toSorted(), late.toSorted());
      await Promise.all(late.map((key) => store.delete(key)));
    });

    /** The store, whose answers to one verb wait until they may come. */
    function held(verb: string) {
      const answer: PromiseWithResolvers<void> = Promise.withResolvers();
      let isAsked = false;
      const { around } = storesAround(async (call, name) => {
        isAsked ||= name === verb;
        if (name === verb) await answer.promise;
        return call();
      });
      const queue = new WorkQueue<Job>({
        ...{ store: around({ grants: store, records: store }).grants },
        ...{ clock, index: jobs, life: 3600, lease: LEASE },
      });
      return { queue, untilAsked: () => until(() => isAsked), answer: answer.resolve };
    }

    it('A queue worker that closes waits for its running query of the store', async () => {
      const { queue, untilAsked, answer } = held('members');
      const reportFailure = (error: unknown): never => assert.fail(String(error));
      const worker = new QueueWorker(queue, { work: () => assert.fail(), pollInterval: 10, atOnce: 1, reportFailure });
      worker.start();
      await untilAsked();
      let isClosed = false;
      const closed = worker.close().then(() => (isClosed = true));
      for (let rounds = 0; rounds < 10; rounds += 1) await nextRound();
      assert.equal(isClosed, false);
      answer();
      await closed;
    });

    it('A node gets no lease on queued work if another claims the work before the node has read it', async () => {
      const { queue, untilAsked, answer } = held('get');
      const key = jobKey('slow');
      const lease = await queue.begin(key, { dueAt: 0, attempts: 0 });
      await untilAsked();
      clock.advance(LEASE / 1000);
      const other = new WorkQueue({ store, clock, index: jobs, life: 3600, lease: LEASE });
      const claimed = await other.claim(key, (await store.get(key)) ?? assert.fail());
      answer();
      assert.equal(await lease.renew(), false);
      assert.equal(await claimed?.done(), true);
    });

    it('A node keeps its queue lease on a record that others change meanwhile, and does not consider it idle', async () => {
      const key = jobKey('shared');
      const shared = (owner: number) =>
        new WorkQueue<Job>({
          ...{ store, clock, index: jobs, life: 3600, lease: LEASE },
          claim: (now) => ({ ...now, attempts: owner }),
          isHeld: ({ attempts }) => attempts === owner,
        });
      const claim = async (owner: number): Promise<Lease<Job>> =>
        (await shared(owner).claim(key, (await store.get(key)) ?? assert.fail())) ?? assert.fail();
      const touch = () => store.set(key, { dueAt: clock.now() + LEASE, attempts: 1 }, { ttl: 3600, indexes: [jobs] });
      await shared(1).add(key, { dueAt: clock.now(), attempts: 0 });
      const lease = await claim(1);
      await touch();
      assert.equal(await lease.renew(), true);
      assert.equal(await lease.refresh(), true);
      await touch();
      assert.equal(await lease.idle((now) => now), false);
      assert.equal(await lease.renew(), true);
      assert.equal(await lease.idle((now) => now), false, 'the change was not looked at yet');
      assert.equal(await lease.refresh(), true);
      assert.equal(await lease.idle((now) => now), true);
      assert.ok((await isEmpty()) && (await store.get(key)) !== undefined);
      const [former, later] = [await claim(1), await claim(2)];
      assert.deepEqual([await former.renew(), await former.reschedule((now) => now)], [false, false]);
      assert.equal(await later.done(), true);
      assert.equal(await store.get(key), undefined);
    });
  });
}
