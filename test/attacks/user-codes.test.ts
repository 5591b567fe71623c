import assert from 'node:assert/strict';
import { Browser, formOf } from '../support/browser.ts';
import type { Config } from '../../src/config/schema.ts';
import { serverStores } from '../oidc/server-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { enterCode, letIn, poll, startDevice, withTelevision } from '../support/device.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** Twenty are free for an address, five for a browser; on a slow machine a pause or two may be over before all have come. */
const FEW = { ofBrowser: 8, ofAddress: 25 };

for (const backend of serverStores) {
  describe(`User codes at two nodes on ${backend.name}`, () => {
    let store: RunningBackend;
    let server: TestServer;
    let second: TestServer;
    let nodes: string[];
    beforeEach(async () => {
      store = await backend.start();
      const port = await freePort();
      const change = (config: Config): Config => ({
        ...withTelevision(config),
        listen: { ...config.listen, aliases: [`localhost:${port}`] },
      });
      server = await startTestServer({ change, store: store.url });
      second = await startTestServer({ change, store: store.url, sameAs: server, port });
      nodes = [server.issuer, `http://localhost:${port}`];
    });
    afterEach(async () => {
      await second.close();
      await server.close();
      await store.stop();
    });

    /** @returns how many of the pages said that the code leads nowhere, and how many that it was not looked at */
    async function guess(count: number, browserFor: (index: number) => Promise<Browser>): Promise<[number, number]> {
      const answers = await Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const browser = await browserFor(index);
          const { action, hidden } = formOf(await browser.visit(`${server.issuer}/device`));
          const code = `BBBB${'BCDFGHJKLM'[Math.floor(index / 10)] ?? ''}${'BCDFGHJKLM'[index % 10] ?? ''}BB`;
          const body = new URLSearchParams({ ...hidden, user_code: code });
          return browser.visit(action, { method: 'POST', body });
        }),
      );
      const refused = answers.filter(({ html }) => html.includes('Too many wrong codes'));
      for (const { status, response } of refused) {
        assert.equal(status, 429);
        assert.ok(Number(response.headers.get('retry-after')) > 0);
      }
      return [answers.filter(({ html }) => html.includes('couldn’t find that code')).length, refused.length];
    }

    it('The server checks only a few guesses of user codes from one address, however many browsers it uses', async () => {
      const [wrong, refused] = await guess(60, () => Promise.resolve(new Browser()));
      assert.ok(wrong <= FEW.ofAddress, `${wrong} looked at`);
      assert.equal(wrong + refused, 60);
    });

    it('The server checks even fewer guesses of user codes from one browser', async () => {
      const browser = new Browser();
      let looked = 0;
      for (let index = 0; index < 12; index += 1) {
        const [wrong] = await guess(1, () => Promise.resolve(browser));
        looked += wrong;
      }
      assert.ok(looked <= FEW.ofBrowser, `${looked} looked at`);
    });

    it('Right user codes in between do not allow a browser more guesses', async () => {
      const browser = new Browser();
      let looked = 0;
      for (let index = 0; index < 12; index += 1) {
        await enterCode(server.issuer, browser, (await startDevice(server.issuer)).userCode);
        const [wrong] = await guess(1, () => Promise.resolve(browser));
        looked += wrong;
      }
      assert.ok(looked <= FEW.ofBrowser, `${looked} looked at`);
    });

    it('The server never slows down right user codes', async () => {
      const browser = new Browser();
      for (let index = 0; index < 12; index += 1) await letIn(server.issuer, browser, await startDevice(server.issuer));
    });

    it('Simultaneous device polls at two nodes get one authorization_pending, and slow_down otherwise', async () => {
      const device = await startDevice(server.issuer);
      const answers = await Promise.all([...nodes, ...nodes].map((node) => poll(node, device)));
      assert.deepEqual(answers.map(({ body }) => String(body['error'])).toSorted(), [
        'authorization_pending',
        'slow_down',
        'slow_down',
        'slow_down',
      ]);
    });

    it('Only one of several simultaneous device polls at two nodes gets the tokens', async () => {
      const device = await startDevice(server.issuer);
      await letIn(server.issuer, new Browser(), device);
      const answers = await Promise.all([...nodes, ...nodes].map((node) => poll(node, device)));
      assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400, 400, 400]);
    });
  });
}

describe('A user code that is entered during a pause', () => {
  it('The server refuses a user code during a pause and does not lengthen the next pause', async () => {
    await using server = await startTestServer({ change: withTelevision });
    try {
      const browser = new Browser();
      /** @returns the seconds to wait; 0 if the code was looked at */
      const guess = async (): Promise<number> => {
        const { response } = await enterCode(server.issuer, browser, 'BBBB-BBBB');
        return Number(response.headers.get('retry-after') ?? 0);
      };
      for (let tries = 0; tries < 100 && (await guess()) === 0; tries += 1);
      for (let times = 0; times < 10; times += 1) await guess();
      travel(60);
      assert.equal(await guess(), 0);
      const pause = await guess();
      assert.ok(pause > 0 && pause <= 120, String(pause));
    } finally {
      returnToPresent();
    }
  });
});
