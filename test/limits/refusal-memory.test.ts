import assert from 'node:assert/strict';
import { RefusalMemory } from '../../src/limits/budget.ts';
import { MovedClock } from '../support/clock.ts';

describe('The memory of refusals', () => {
  it('The server’s memory of a refusal ends at the noted time', () => {
    const clock = new MovedClock();
    const memory = new RefusalMemory(clock);
    memory.note('a', 3000);
    clock.advance(1);
    assert.deepEqual([memory.remaining('a'), memory.remaining('b')], [2000, 0]);
    clock.advance(2);
    assert.equal(memory.remaining('a'), 0);
  });

  it('The server forgets the oldest refusal if there are more than 10,000', () => {
    const memory = new RefusalMemory(new MovedClock());
    for (let subject = 0; subject < 10_001; subject += 1) memory.note(String(subject), 3000);
    assert.deepEqual([memory.remaining('0'), memory.remaining('1'), memory.remaining('10000')], [0, 3000, 3000]);
  });
});
