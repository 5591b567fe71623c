import assert from 'node:assert/strict';
import { MemoryReplays } from '../../src/resource-server/dpop-replays.ts';
import { ReplaysUnavailable } from '../../src/resource-server/resource-server.ts';
import { returnToPresent, travel } from '../support/clock.ts';

describe('The memory for used proofs', () => {
  afterEach(returnToPresent);

  it('The replay memory keeps a proof for the requested time and forgets it after twice that time', () => {
    const replays = new MemoryReplays();
    travel(119);
    assert.ok(replays.claim('key', 'one', 120));
    for (let step = 0; step < 3; step += 1) {
      travel(39);
      assert.ok(!replays.claim('key', 'one', 120));
    }
    travel(240);
    assert.ok(replays.claim('key', 'one', 120));
  });

  it('The replay memory keeps a long-lived proof even if callers with shorter times use it', () => {
    const replays = new MemoryReplays();
    travel(299);
    assert.ok(replays.claim('key', 'long', 600));
    for (let step = 0; step < 9; step += 1) {
      travel(61);
      assert.ok(replays.claim('key', `short ${step}`, 60));
      assert.ok(!replays.claim('key', 'long', 600));
    }
  });

  it('A full replay memory refuses new proofs, keeps the stored ones and accepts new ones later', () => {
    const replays = new MemoryReplays(4);
    for (const [key, jti] of [
      ['a', '1'],
      ['a', '2'],
      ['b', '1'],
      ['b', '2'],
    ] as const) {
      assert.ok(replays.claim(key, jti, 120));
    }
    assert.throws(() => replays.claim('c', '1', 120), ReplaysUnavailable);
    assert.ok(!replays.claim('a', '1', 120));
    travel(120);
    assert.ok(replays.claim('c', '1', 120));
    assert.ok(!replays.claim('b', '2', 120));
  });

  it('One key can use at most half of the replay memory', () => {
    const replays = new MemoryReplays(4);
    assert.ok(replays.claim('greedy', '1', 120) && replays.claim('greedy', '2', 120));
    assert.throws(() => replays.claim('greedy', '3', 120), ReplaysUnavailable);
    assert.ok(replays.claim('modest', '1', 120));
  });

  it('The replay memory still knows a proof after the clock was set back', () => {
    const replays = new MemoryReplays();
    assert.ok(replays.claim('key', 'one', 120));
    travel(-3600);
    assert.ok(!replays.claim('key', 'one', 120));
    travel(60);
    assert.ok(!replays.claim('key', 'one', 120));
  });
});
