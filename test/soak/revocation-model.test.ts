import assert from 'node:assert/strict';
import fc from 'fast-check';
import { serverStores } from '../oidc/server-stores.ts';
import { withCasts } from '../revocation/stage.ts';
import { startRevocationSetup, type RevocationSetup } from '../revocation/two-nodes.ts';
import { returnToPresent } from '../support/clock.ts';
import { CAST, RevocationPlay, withShortKeys } from './revocation-play.ts';
import { sequences } from './revocation-model.ts';

/** How long the sequences may take on each store, in milliseconds. */
const TIME = 50_000;
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

for (const backend of serverStores) {
  describe(`Random sequences of token events at two nodes on ${backend.name} (SEED=${SEED})`, function () {
    // A sequence that fails is made shorter, and tried again.
    this.timeout(TIME + 600_000);
    let setup: RevocationSetup;
    before(async () => {
      setup = await startRevocationSetup(backend, (config, uri) => withShortKeys(withCasts([CAST], config, uri)));
    });
    after(async () => {
      returnToPresent();
      await setup.close();
    });

    it('Every API answers every sequence as the model does', async () => {
      let answers = 0;
      let runs = 0;
      const property = fc.asyncProperty(sequences, async (steps) => {
        const play = new RevocationPlay(setup);
        await play.run(steps);
        answers += play.answers;
        runs += 1;
      });
      await fc.assert(property, { seed: SEED, numRuns: 1000, interruptAfterTimeLimit: TIME });
      console.log(`      ${runs} sequences, ${answers} answers as the model has them`);
      assert.ok(runs >= 5);
    });
  });
}
