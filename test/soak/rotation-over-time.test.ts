import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BOUNDS, RotatingNodes, TIGHT } from './rotating-nodes.ts';

describe('A thousand rotations, on five nodes with clocks, hints, polls and restarts of all kinds', function () {
  this.timeout(120_000);

  it('refuse no token and no cookie, whenever /jwks was fetched and however long it was kept', () => {
    const setup = fc.asyncProperty(fc.nat(), async (seed) => {
      const { verified } = await RotatingNodes.live(seed, 250, TIGHT);
      assert.ok(verified >= 250);
    });
    return fc.assert(setup, { numRuns: 4, endOnFailure: true });
  });

  it('would refuse some if keys were not announced', () =>
    assert.rejects(RotatingNodes.live(1, 50, { ...TIGHT, announce: 0 }), /lacks the key that signs/));

  it('would refuse some if keys were announced for less than caches, clocks and polls need', () =>
    assert.rejects(
      RotatingNodes.live(1, 50, { ...TIGHT, announce: BOUNDS.cache + 1 }),
      /lacks the key that signs|does not know/,
    ));

  it('would refuse some if keys were published for no longer than tokens live', () =>
    assert.rejects(
      RotatingNodes.live(1, 50, { ...TIGHT, publish: BOUNDS.tokenLife, remember: 0 }),
      /no longer publishes/,
    ));

  it('would sign people out if cookie keys were forgotten early', () =>
    assert.rejects(RotatingNodes.live(1, 50, { ...TIGHT, cookies: BOUNDS.cookieLife }), /does not know a cookie/));
});
