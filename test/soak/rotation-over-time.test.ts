import assert from 'node:assert/strict';
import fc from 'fast-check';
import { BOUNDS, RotatingNodes, TIGHT } from './rotating-nodes.ts';

describe('A thousand rotations on five nodes with different clocks, notices, polls and restarts', function () {
  this.timeout(120_000);

  it('A thousand key rotations cause no refused token or cookie, whenever a reader fetched /jwks', () => {
    const setup = fc.asyncProperty(fc.nat(), async (seed) => {
      const { verified } = await RotatingNodes.live(seed, 250, TIGHT);
      assert.ok(verified >= 250);
    });
    return fc.assert(setup, { numRuns: 4, endOnFailure: true });
  });

  it('The rotation simulation finds refused tokens if keys are not announced', () =>
    assert.rejects(RotatingNodes.live(1, 50, { ...TIGHT, announce: 0 }), /lacks the key that signs/));

  it('The rotation simulation finds refused tokens if keys are announced too briefly', () =>
    assert.rejects(
      RotatingNodes.live(1, 50, { ...TIGHT, announce: BOUNDS.cache + 1 }),
      /lacks the key that signs|does not know/,
    ));

  it('The rotation simulation finds refused tokens if keys are published only for the lifetime of tokens', () =>
    assert.rejects(
      RotatingNodes.live(1, 50, { ...TIGHT, publish: BOUNDS.tokenLife, remember: 0 }),
      /no longer publishes/,
    ));

  it('The rotation simulation finds refused cookies if cookie keys are forgotten too early', () =>
    assert.rejects(RotatingNodes.live(1, 50, { ...TIGHT, cookies: BOUNDS.cookieLife }), /does not know a cookie/));
});
