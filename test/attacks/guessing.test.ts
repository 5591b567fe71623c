import assert from 'node:assert/strict';
import { Browser, formOf } from '../support/browser.ts';
import { ADMIN, ALICE, authorizationRequest, signIn } from '../support/flows.ts';
import { startRedis } from '../support/redis.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** Five are free; on a slow machine a pause or two may be over before all have come. */
const FEW = 8;

const STORES = {
  SQLite: { start: () => Promise.resolve({ url: undefined, stop: () => Promise.resolve() }) },
  Redis: { start: () => startRedis({ appendonly: true }) },
};

for (const [name, backend] of Object.entries(STORES)) {
  describe(`Password guessing on ${name}`, () => {
    let server: TestServer;
    let stop: () => Promise<void>;
    before(async () => {
      const store = await backend.start();
      ({ stop } = store);
      server = await startTestServer({ hashesSlowly: true, ...(store.url !== undefined && { store: store.url }) });
    });
    after(async () => {
      await server.close();
      await stop();
    });

    /** Sends wrong passwords all at once. @returns how many were answered with each status */
    async function burst(count: number, person: (index: number) => typeof ALICE): Promise<Record<number, number>> {
      const browser = new Browser();
      const page = await browser.visit(authorizationRequest(server.issuer).url);
      const { action, hidden } = formOf(page);
      const answers = await Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const body = new URLSearchParams({ ...hidden, ...person(index) });
          return (await browser.request(action, { method: 'POST', body })).status;
        }),
      );
      const counts: Record<number, number> = {};
      for (const status of answers) counts[status] = (counts[status] ?? 0) + 1;
      return counts;
    }

    it('The server checks only a few of 50 simultaneous passwords for one account', async () => {
      const counts = await burst(50, (index) => ({ ...ALICE, password: `wrong ${index}` }));
      assert.ok((counts[401] ?? 0) <= FEW, JSON.stringify(counts));
      assert.equal((counts[401] ?? 0) + (counts[429] ?? 0), 50, JSON.stringify(counts));
    });

    it('The server treats an account that does not exist like an existing one when it counts guesses', async () => {
      const counts = await burst(50, (index) => ({ email: 'nobody@example.com', password: `wrong ${index}` }));
      assert.ok((counts[401] ?? 0) <= FEW, JSON.stringify(counts));
      assert.equal((counts[401] ?? 0) + (counts[429] ?? 0), 50, JSON.stringify(counts));
    });

    it('Another account can still sign in at an address that guessed passwords', async () => {
      const callback = await signIn(new Browser(), authorizationRequest(server.issuer), ADMIN);
      assert.ok(callback.searchParams.has('code'));
    });
  });
}
