import assert from 'node:assert/strict';
import { setImmediate as settled } from 'node:timers/promises';
import { openGate, TooBusy } from '../../src/credentials/gate.ts';

/** A task that ends when it is told to. */
function heldTask(started: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<string>();
  const task = () => {
    started.push(name);
    return promise;
  };
  return { task, end: () => resolve(name) };
}

describe('The gate', () => {
  it('starts as many tasks as may run, then the next in line as each one ends', async () => {
    const gate = openGate({ atOnce: 2, waiting: 10 });
    const started: string[] = [];
    const tasks = ['a', 'b', 'c', 'd'].map((name) => heldTask(started, name));
    const results = tasks.map(({ task }) => gate.run(task));
    await settled();
    assert.deepEqual(started, ['a', 'b']);
    tasks[1]?.end();
    await results[1];
    await settled();
    assert.deepEqual(started, ['a', 'b', 'c']);
    tasks.forEach(({ end }) => end());
    assert.deepEqual(await Promise.all(results), ['a', 'b', 'c', 'd']);
  });

  it('turns away at once, unstarted, what finds the queue full', async () => {
    const gate = openGate({ atOnce: 1, waiting: 1 });
    const started: string[] = [];
    const tasks = ['a', 'b', 'c'].map((name) => heldTask(started, name));
    const [first, second, third] = tasks.map(({ task }) => gate.run(task));
    await assert.rejects(third ?? assert.fail(), TooBusy);
    tasks.forEach(({ end }) => end());
    assert.deepEqual([await first, await second], ['a', 'b']);
    assert.deepEqual(started, ['a', 'b']);
  });

  it('gives a place back when its task fails', async () => {
    const gate = openGate({ atOnce: 1, waiting: 0 });
    await assert.rejects(
      gate.run(() => Promise.reject(new Error('no'))),
      { message: 'no' },
    );
    await assert.rejects(
      gate.run(() => {
        throw new Error('at once');
      }),
      { message: 'at once' },
    );
    assert.equal(await gate.run(() => Promise.resolve('in')), 'in');
  });
});
