import assert from 'node:assert/strict';
import { forEachConcurrently } from '../../src/storage/every-member.ts';

describe('Concurrent work on many records', () => {
  it('The first failure in concurrent work rejects the whole, once all tasks that have started are over', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const begun: number[] = [];
    let isOver = false;
    const work = forEachConcurrently([1, 2, 3], async (item) => {
      begun.push(item);
      if (item === 2) throw new Error('the second');
      if (item === 1) await promise;
    }).finally(() => (isOver = true));
    await new Promise(setImmediate);
    assert.deepEqual({ begun, isOver }, { begun: [1, 2], isOver: false });
    resolve(undefined);
    await assert.rejects(work, /the second/);
  });

  it('A failure to read the records rejects the concurrent work, once all started tasks are over', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    let isOver = false;

    async function* records() {
      yield 1;
      throw new Error('the store is away');
    }
    const work = forEachConcurrently(records(), () => promise).finally(() => (isOver = true));
    work.catch(() => undefined);
    await new Promise(setImmediate);
    assert.equal(isOver, false);
    resolve(undefined);
    await assert.rejects(work, /the store is away/);
  });
});
