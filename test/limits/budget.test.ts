import assert from 'node:assert/strict';
import { openBudget, type Budget, type Share } from '../../src/limits/budget.ts';
import { temporaryStore, type TemporaryStore } from '../support/temporary-store.ts';

const SPAN = 600;
const all: Share = { subject: 'all', most: 100, isCommon: true };
const shares = (subject: string): Share[] => [{ subject, most: 20 }, all];

describe('A shared budget', () => {
  let place: TemporaryStore;
  let budget: Budget;
  beforeEach(() => {
    place = temporaryStore();
    budget = openBudget({ grants: place.store, clock: place.clock, name: 'test', span: SPAN });
  });
  afterEach(() => place.remove());

  it('A burst from a caller that has used up its share takes nothing from others, not even for a moment', async () => {
    const burst = Array.from({ length: 50 }, () => budget.spend(shares('flooder'), 10));
    const other = budget.spend(shares('other'), 10);
    assert.equal((await Promise.all(burst)).filter(Boolean).length <= 2, true);
    assert.equal(await other, true);
    assert.equal(await budget.spend(shares('third'), 10), true);
  });

  it('A caller whose request is refused for lack of the common budget loses nothing of its own share', async () => {
    for (const subject of ['a', 'b', 'c', 'd', 'e']) assert.equal(await budget.spend(shares(subject), 20), true);
    assert.equal(await budget.spend(shares('late'), 20), false);
    place.clock.advance(6);
    await budget.refund(['a', 'all'], 20);
    assert.equal(await budget.spend(shares('late'), 20), true);
  });

  it('A budget refund from an earlier span does not count in the current one', async () => {
    await budget.spend(shares('one'), 20);
    place.clock.advance(SPAN + 1);
    await budget.refund(['one', 'all'], 20);
    assert.equal(await budget.spend(shares('one'), 20), true);
    assert.equal(await budget.spend(shares('one'), 10), false);
  });

  it('The budget remembers for a few seconds that a caller has nothing left, without asking the store', async () => {
    assert.equal(budget.isSpent(shares('one')), false);
    await budget.spend(shares('one'), 20);
    assert.equal(budget.isSpent(shares('one')), false);
    assert.equal(await budget.spend(shares('one'), 1), false);
    assert.deepEqual([budget.isSpent(shares('one')), budget.isSpent(shares('other'))], [true, false]);
    place.clock.advance(6);
    assert.equal(budget.isSpent(shares('one')), false);
  });
});
