import assert from 'node:assert/strict';
import { deposedIn, viewOf } from '../../../src/storage/redis/cluster-view.ts';

/** The lines of CLUSTER NODES, in short: id, flags, epoch. */
function view(...lines: [id: string, flags: string, epoch: number][]) {
  const text = lines.map(([id, flags, epoch]) => `${id} 10.0.0.1:${id}@1${id},host ${flags} - 0 0 ${epoch} connected`);
  return viewOf(`${text.join('\n')}\n`);
}

describe('A cluster whose nodes disagree', () => {
  const cutOff = view(['1', 'myself,master', 4], ['2', 'master,fail?', 2], ['3', 'slave,fail?', 4]);

  it('has deposed a master that was cut off, by the word of those who replaced it', () => {
    const promoted = view(['1', 'master,fail', 4], ['2', 'master', 2], ['3', 'myself,master', 5]);
    assert.deepEqual(deposedIn([cutOff, promoted]), ['10.0.0.1:1']);
  });

  it('has deposed a master that has a replacement and is known as its replica', () => {
    const healed = view(['1', 'slave', 5], ['2', 'myself,master', 2], ['3', 'master', 5]);
    assert.deepEqual(deposedIn([cutOff, healed]), ['10.0.0.1:1']);
  });

  it('keeps a master that others only suspect', () => {
    const suspecting = view(['1', 'master,fail?', 4], ['2', 'myself,master', 2], ['3', 'slave', 4]);
    assert.deepEqual(deposedIn([cutOff, suspecting]), []);
  });

  it('keeps the new master against the word of one that has missed the failover', () => {
    const late = view(['1', 'myself,slave', 4], ['2', 'master', 2], ['3', 'slave,fail', 4]);
    const promoted = view(['1', 'slave', 5], ['2', 'master', 2], ['3', 'myself,master', 5]);
    assert.deepEqual(deposedIn([late, promoted]), []);
  });
});
