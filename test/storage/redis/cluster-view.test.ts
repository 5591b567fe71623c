import assert from 'node:assert/strict';
import { deposedIn, viewOf } from '../../../src/storage/redis/cluster-view.ts';

/** The lines of CLUSTER NODES, in short: id, flags, epoch. */
function view(...lines: [id: string, flags: string, epoch: number][]) {
  const text = lines.map(([id, flags, epoch]) => `${id} 10.0.0.1:${id}@1${id},host ${flags} - 0 0 ${epoch} connected`);
  return viewOf(`${text.join('\n')}\n`);
}

describe('A Redis Cluster whose nodes disagree', () => {
  const cutOff = view(['1', 'myself,master', 4], ['2', 'master,fail?', 2], ['3', 'slave,fail?', 4]);

  it('The store leaves a master that was cut off if other nodes report its replacement', () => {
    const promoted = view(['1', 'master,fail', 4], ['2', 'master', 2], ['3', 'myself,master', 5]);
    assert.deepEqual(deposedIn([cutOff, promoted]), ['10.0.0.1:1']);
  });

  it('The store leaves a master that another node reports as its replacement’s replica', () => {
    const healed = view(['1', 'slave', 5], ['2', 'myself,master', 2], ['3', 'master', 5]);
    assert.deepEqual(deposedIn([cutOff, healed]), ['10.0.0.1:1']);
  });

  it('The store keeps a master that other nodes only suspect', () => {
    const suspecting = view(['1', 'master,fail?', 4], ['2', 'myself,master', 2], ['3', 'slave', 4]);
    assert.deepEqual(deposedIn([cutOff, suspecting]), []);
  });

  it('The store keeps the new master if a node that missed the failover reports it as failed', () => {
    const late = view(['1', 'myself,slave', 4], ['2', 'master', 2], ['3', 'slave,fail', 4]);
    const promoted = view(['1', 'slave', 5], ['2', 'master', 2], ['3', 'myself,master', 5]);
    assert.deepEqual(deposedIn([late, promoted]), []);
  });
});
