import assert from 'node:assert/strict';
import { MemoryReplays } from '../../src/resource-server/dpop-replays.ts';
import { ReplaysUnavailable } from '../../src/resource-server/resource-server.ts';
import { returnToPresent, travel } from '../support/clock.ts';

describe('the memory for used proofs', () => {
  afterEach(returnToPresent);

  it('never forgets within the time asked for, and does after twice that', () => {
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

  it('keeps what was promised to be kept for longer, whoever else uses it', () => {
    const replays = new MemoryReplays();
    travel(299);
    assert.ok(replays.claim('key', 'long', 600));
    for (let step = 0; step < 9; step += 1) {
      travel(61);
      assert.ok(replays.claim('key', `short ${step}`, 60));
      assert.ok(!replays.claim('key', 'long', 600));
    }
  });

  it('refuses new ones when it is full, forgets none, and has room again in time', () => {
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

  it('gives no key more than half of the room', () => {
    const replays = new MemoryReplays(4);
    assert.ok(replays.claim('greedy', '1', 120) && replays.claim('greedy', '2', 120));
    assert.throws(() => replays.claim('greedy', '3', 120), ReplaysUnavailable);
    assert.ok(replays.claim('modest', '1', 120));
  });

  it('remembers across a clock that is set back', () => {
    const replays = new MemoryReplays();
    assert.ok(replays.claim('key', 'one', 120));
    travel(-3600);
    assert.ok(!replays.claim('key', 'one', 120));
    travel(60);
    assert.ok(!replays.claim('key', 'one', 120));
  });
});
