import assert from 'node:assert/strict';
import { mergeChanges } from '../../src/oidc/storage/session-adapter.ts';

describe('A three-way merge', () => {
  const before = { kept: 1, list: [1], apps: { a: { sid: 'a', grant: 'g' }, b: { sid: 'b' } } };

  it('The merge applies its own changes to the current value that others left', () => {
    const ours = { ...before, apps: { ...before.apps, c: { sid: 'c' } } };
    const now = { ...before, kept: 2, apps: { ...before.apps, d: { sid: 'd' } } };
    assert.deepEqual(mergeChanges(before, ours, now), {
      kept: 2,
      list: [1],
      apps: { ...before.apps, c: { sid: 'c' }, d: { sid: 'd' } },
    });
  });

  it('The merge removes what either side removed', () => {
    const { a, b } = before.apps;
    assert.deepEqual(mergeChanges<object>(before, { ...before, apps: { a } }, before), { ...before, apps: { a } });
    assert.deepEqual(mergeChanges<object>(before, before, { ...before, apps: { b } }), { ...before, apps: { b } });
    assert.deepEqual(mergeChanges<object>({ x: 1 }, { x: undefined }, { x: 2, y: 3 }), { y: 3 });
  });

  it('In a conflict, the merge prefers our value to the stored one, and treats a list as one value', () => {
    const ours = { ...before, list: [1, 2], apps: { ...before.apps, a: { sid: 'ours', grant: 'g' } } };
    const now = { ...before, list: [3], apps: { ...before.apps, a: { sid: 'theirs', grant: 'new' } } };
    const merged = mergeChanges(before, ours, now);
    assert.deepEqual(merged.list, [1, 2]);
    assert.deepEqual(merged.apps.a, { sid: 'ours', grant: 'new' });
  });

  it('The merge does not modify its arguments', () => {
    const [ours, now] = [structuredClone({ ...before, apps: {} }), structuredClone(before)];
    mergeChanges<object>(before, ours, now);
    assert.deepEqual([ours, now], [{ ...before, apps: {} }, before]);
  });
});
