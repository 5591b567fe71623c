import assert from 'node:assert/strict';
import { openRisingDelay } from '../../src/credentials/rising-delay.ts';
import { temporaryStore, type TemporaryStore } from '../support/temporary-store.ts';

const RULE = { name: 'test', free: 5, longest: 60, memory: 60 };

describe('A rising delay', () => {
  let place: TemporaryStore;
  beforeEach(() => {
    place = temporaryStore();
  });
  afterEach(() => place.remove());

  it('An attempt that is returned to a rising delay gives no credit if it has already expired', async () => {
    const delay = openRisingDelay({ grants: place.store, clock: place.clock, rule: RULE });
    for (let attempt = 0; attempt < 4; attempt += 1) assert.equal(await delay.reserve('somebody'), 0);
    place.clock.advance(RULE.memory + 1);
    await Promise.all(Array.from({ length: 4 }, () => delay.refund('somebody')));
    const waits: number[] = [];
    for (let attempt = 0; attempt < 6; attempt += 1) waits.push(await delay.reserve('somebody'));
    assert.deepEqual(
      waits.map((seconds) => seconds > 0),
      [false, false, false, false, false, true],
    );
  });
});
