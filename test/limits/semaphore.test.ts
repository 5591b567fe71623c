import assert from 'node:assert/strict';
import { setImmediate as settled } from 'node:timers/promises';
import { type Semaphore, type SemaphoreLimits, openSemaphore, TooBusy } from '../../src/limits/semaphore.ts';
import type { Caller } from '../../src/limits/lane.ts';

const ROOMY: SemaphoreLimits = {
  atOnce: 2,
  waiting: { known: 10, unknown: 10 },
  perBlock: 10,
  perAccount: 10,
  crowd: 2,
};

/** Tasks that end when they are told to, by the names of their callers' blocks. */
class Scene {
  readonly started: string[] = [];
  readonly refused: string[] = [];
  readonly ofCrowd: string[] = [];
  readonly #semaphore: Semaphore;
  readonly #ends = new Map<string, () => void>();

  constructor(limits: Partial<SemaphoreLimits> = {}) {
    this.#semaphore = openSemaphore({ ...ROOMY, ...limits });
  }

  /** Lets callers come, as `block` or `block/task`, one after the other. */
  async come(isKnown: boolean, names: readonly string[], account?: string): Promise<void> {
    for (const name of names) {
      const [block = ''] = name.split('/');
      void this.#run(name, { block, isKnown, ...(account !== undefined && { account }) });
      await settled();
    }
  }

  async end(name = this.started.at(-1) ?? ''): Promise<void> {
    this.#ends.get(name)?.();
    await settled();
  }

  async #run(name: string, caller: Caller): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#ends.set(name, () => resolve(undefined));
    await this.#semaphore
      .run(caller, (isOfCrowd) => {
        this.started.push(name);
        if (isOfCrowd) this.ofCrowd.push(name);
        return promise;
      })
      .catch((error: unknown) => {
        assert.ok(error instanceof TooBusy);
        this.refused.push(name);
      });
  }
}

describe('The semaphore of password hashing', () => {
  it('The semaphore runs one task of an unknown caller at a time, and keeps the other place for known devices', async () => {
    const scene = new Scene();
    await scene.come(false, ['a', 'b', 'c']);
    assert.deepEqual(scene.started, ['a']);
    await scene.come(true, ['owner']);
    assert.deepEqual(scene.started, ['a', 'owner']);
    await scene.end('a');
    assert.deepEqual(scene.started, ['a', 'owner', 'b']);
  });

  it('Known devices can use both places of the semaphore, but the next free one goes to an unknown caller', async () => {
    const scene = new Scene();
    await scene.come(true, ['a', 'b', 'c', 'd']);
    await scene.come(false, ['newcomer']);
    assert.deepEqual(scene.started, ['a', 'b']);
    await scene.end('a');
    assert.deepEqual(scene.started, ['a', 'b', 'newcomer']);
    await scene.end('b');
    assert.deepEqual(scene.started, ['a', 'b', 'newcomer', 'c']);
  });

  it('A task of an unknown caller learns that many others wait, and a known device’s task does not', async () => {
    const scene = new Scene();
    await scene.come(false, ['a', 'b', 'c', 'd']);
    for (const name of ['a', 'b', 'c', 'd']) await scene.end(name);
    await scene.come(true, ['owner/1', 'owner/2', 'owner/3', 'owner/4', 'owner/5']);
    for (let turn = 1; turn <= 5; turn += 1) await scene.end(`owner/${turn}`);
    assert.equal(scene.started.length, 9);
    assert.deepEqual(scene.ofCrowd, ['b']);
  });

  it('The semaphore serves address blocks in turn, and the tasks of each block in order', async () => {
    const scene = new Scene();
    await scene.come(false, ['flood/1', 'flood/2', 'flood/3', 'flood/4', 'a/1', 'b/1', 'a/2']);
    for (let turn = 0; turn < 7; turn += 1) await scene.end();
    assert.deepEqual(scene.started, ['flood/1', 'flood/2', 'a/1', 'b/1', 'flood/3', 'a/2', 'flood/4']);
  });

  it('The semaphore accepts a limited number of tasks from one address block', async () => {
    const scene = new Scene({ perBlock: 2 });
    await scene.come(false, ['flood/1', 'flood/2', 'flood/3', 'a']);
    assert.deepEqual(scene.refused, ['flood/3']);
    await scene.end('flood/1');
    await scene.come(false, ['flood/4']);
    assert.deepEqual(scene.refused, ['flood/3']);
  });

  it('The semaphore limits an account’s tasks from unknown callers, and counts known devices separately', async () => {
    const scene = new Scene({ perAccount: 2, crowd: 2 });
    await scene.come(false, ['a', 'b', 'c'], 'ann@example.com');
    assert.deepEqual(scene.refused, ['c']);
    await scene.come(true, ['home'], 'ann@example.com');
    await scene.come(false, ['d'], 'bob@example.com');
    assert.deepEqual(scene.refused, ['c']);
    assert.deepEqual(scene.started, ['a', 'home']);
  });

  it('The semaphore refuses tasks if their queue is full, but accepts those for the other queue', async () => {
    const scene = new Scene({ waiting: { known: 1, unknown: 2 } });
    await scene.come(false, ['a', 'b', 'c', 'd']);
    assert.deepEqual(scene.refused, ['d']);
    await scene.come(true, ['home']);
    assert.deepEqual(scene.started, ['a', 'home']);
    assert.deepEqual(scene.refused, ['d']);
  });

  it('A newcomer to the semaphore’s full queue displaces the last task of the block with the most waiting tasks', async () => {
    const scene = new Scene({ waiting: { known: 1, unknown: 3 } });
    await scene.come(false, ['flood/1', 'flood/2', 'flood/3', 'flood/4', 'a', 'b', 'c']);
    assert.deepEqual(scene.refused, ['flood/4', 'flood/3', 'c']);
    for (let turn = 0; turn < 4; turn += 1) await scene.end();
    assert.deepEqual(scene.started, ['flood/1', 'flood/2', 'a', 'b']);
  });

  it('The semaphore frees a place if a task fails', async () => {
    const semaphore = openSemaphore({ ...ROOMY, perBlock: 1, perAccount: 1, crowd: 2 });
    const caller = { block: 'a', account: 'ann@example.com', isKnown: false };
    const fails = [
      () => Promise.reject(new Error('no')),
      () => {
        throw new Error('no');
      },
    ];
    for (const task of fails) await assert.rejects(semaphore.run(caller, task), { message: 'no' });
    assert.equal(await semaphore.run(caller, () => Promise.resolve('in')), 'in');
  });

  it('The semaphore runs every task that it accepts exactly once, even under heavy load', async () => {
    const semaphore = openSemaphore({
      ...ROOMY,
      waiting: { known: 5, unknown: 5 },
      perBlock: 4,
      perAccount: 2,
      crowd: 2,
    });
    let [ran, running, most] = [0, 0, 0];
    const results = await Promise.allSettled(
      Array.from({ length: 500 }, async (_, turn) => {
        for (let pause = 0; pause < turn % 17; pause += 1) await settled();
        const caller = { block: `b${turn % 7}`, account: `a${turn % 11}`, isKnown: turn % 3 === 0 };
        await semaphore.run(caller, async () => {
          running += 1;
          most = Math.max(most, running);
          await settled();
          running -= 1;
          ran += 1;
        });
      }),
    );
    assert.equal(ran, results.filter(({ status }) => status === 'fulfilled').length);
    assert.ok(ran > 10 && ran < 500, String(ran));
    assert.equal(most, 2);
    const again = { block: 'b1', account: 'a1', isKnown: false };
    assert.equal(await semaphore.run(again, () => Promise.resolve('in')), 'in');
  });
});
