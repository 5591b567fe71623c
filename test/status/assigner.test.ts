import assert from 'node:assert/strict';
import { systemRandom } from '../../src/lib/random.ts';
import { StatusAssigner } from '../../src/status/assigner.ts';
import { IndexAllocator } from '../../src/status/index-allocator.ts';
import { clientsWithTokens, tokensOfClient } from '../../src/status/token-indexes.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { postgres, redis, sqlite, type RunningBackend } from '../storage/backends.ts';
import { MovedClock } from '../support/clock.ts';

/** In seconds. */
const LIFE = 600;
const AN_HOUR = 3600;

for (const backend of [sqlite, redis, postgres]) {
  describe(`A token with a status index on ${backend.name}`, () => {
    let running: RunningBackend;
    let clock: MovedClock;
    let grants: Store;
    let assigner: StatusAssigner;

    beforeEach(async () => {
      running = await backend.start();
      clock = new MovedClock();
      grants = await openStore(running.url, clock);
      const allocator = new IndexAllocator({ grants, clock, random: systemRandom, longest: LIFE, openFor: LIFE });
      assigner = new StatusAssigner({ grants, clock, allocator, uriOf: ({ id }) => id, longest: LIFE });
    });
    afterEach(async () => {
      await grants.close();
      await running.stop();
    });

    async function issue(): Promise<void> {
      const now = clock.now();
      const token = { clientId: 'machine', expiresAt: now / 1000 + LIFE, startedAt: now };
      await (
        await assigner.assign(token)
      ).entered;
    }

    async function clients(): Promise<string[]> {
      const found: string[] = [];
      for await (const page of clientsWithTokens(grants)) found.push(...page);
      return [...new Set(found)];
    }

    it('A revocation for everybody finds a token until it expires, even if its client has been known for long', async () => {
      await issue();
      clock.advance(AN_HOUR - 1);
      await issue();
      clock.advance(LIFE - 1);
      assert.deepEqual(await clients(), ['machine']);
    });

    it('A revocation of a client finds a token until its expiry plus the clock leeway', async () => {
      await issue();
      clock.advance(LIFE + 59);
      assert.equal((await grants.members(tokensOfClient('machine'))).keys.length, 1);
      clock.advance(2);
      assert.equal((await grants.members(tokensOfClient('machine'))).keys.length, 0);
    });
  });
}
