import assert from 'node:assert/strict';
import { storedKeys } from '../../src/domain/key-ring.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openUserCodes } from '../../src/oidc/storage/user-codes.ts';
import { openStores as openOwnStores } from '../../src/storage/open-stores.ts';
import { liveTokens } from '../grants/refresh/live-tokens.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { enterCode, poll, startDevice, withTelevision } from '../support/device.ts';
import {
  ADMIN,
  ALICE,
  authorizationRequest,
  exchangeCode,
  refresh,
  signIn,
  tokensFor,
  type TokenAnswer,
} from '../support/flows.ts';
import { holdingStores } from '../support/held-call.ts';
import { startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { sharedStores } from './server-stores.ts';

const AT_ONCE = 50;

for (const backend of sharedStores) {
  for (const processes of [1, 2]) {
    describe(`Single use on ${backend.name} with ${processes} server process${processes === 1 ? '' : 'es'}`, () => {
      let store: RunningBackend;
      let server: TestServer;
      let second: ServerProcess | undefined;
      let nodes: string[];

      before(async () => {
        store = await backend.start();
        server = await startTestServer({ store: store.url });
        const { directory, issuer } = server;
        second = processes === 2 ? await startServerProcess({ directory, issuer, store: store.url }) : undefined;
        nodes = [issuer, ...(second === undefined ? [] : [second.url])];
      });

      after(async () => {
        await second?.close();
        await server.close();
        await store.stop();
      });

      /** Asks as often as there are requests at once, of each node in turn. */
      const all = (ask: (node: string) => Promise<TokenAnswer>): Promise<TokenAnswer[]> =>
        Promise.all(Array.from({ length: AT_ONCE }, (_, at) => ask(nodes[at % nodes.length] ?? '')));

      it('Only one of 50 parallel exchanges of a code succeeds', async () => {
        const request = authorizationRequest(server.issuer);
        const callback = await signIn(new Browser(), request);
        const answers = await all((node) => exchangeCode(node, request, callback));
        assert.equal(answers.filter(({ status }) => status === 200).length, 1);
        for (const { status, body } of answers.filter((answer) => answer.status !== 200)) {
          assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
        }
      });

      it('All of 50 parallel refreshes receive the same response, and one live refresh token remains', async () => {
        const { refresh_token: token = '' } = await tokensFor(server.issuer);
        const answers = await all((node) => refresh(node, token));
        assert.equal(new Set(answers.map(({ status, body }) => JSON.stringify([status, body]))).size, 1);
        const body: Record<string, unknown> = answers[0]?.body ?? {};
        assert.equal(answers[0]?.status, 200, JSON.stringify(body));
        // The code's access token and this answer's.
        assert.deepEqual(await liveTokens(store.url, token), { refresh: 1, access: 2 });
        const last = nodes.at(-1) ?? '';
        assert.equal((await refresh(last, String(body['refresh_token']))).status, 200);
        assert.equal((await refresh(last, token)).status, 400);
        assert.deepEqual(await liveTokens(store.url, token), { refresh: 0, access: 0 });
      });
    });
  }
}

/** The losers found everything unused, and come to claim it last. */
describe('Single use between lookup and claim', () => {
  const { openStores, meanwhile } = holdingStores();
  const claims = (verb: string, kind: string) => (given: string, key: string) =>
    given === verb && key.startsWith(`${kind}:`);
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withTelevision, openStores });
  });
  after(() => server.close());

  it('The token endpoint refuses the slower of two exchanges of a code', async () => {
    const request = authorizationRequest(server.issuer);
    const callback = await signIn(new Browser(), request);
    const exchange = () => exchangeCode(server.issuer, request, callback);
    const slower = await meanwhile(exchange, claims('consume', 'authorization-code'), async () => {
      assert.equal((await exchange()).status, 200);
    });
    assert.deepEqual([slower.status, slower.body['error']], [400, 'invalid_grant']);
  });

  it('The slower of two requests that resume a sign-in receives the same response', async () => {
    const request = authorizationRequest(server.issuer);
    const browser = new Browser();
    const page = await browser.visit(request.url);
    const { url } = await browser.submit(page, { ...ALICE }, `${server.issuer}/authorize/`);
    const resume = () => browser.visit(url, {}, request.redirectUri);
    let first = '';
    const slower = await meanwhile(resume, claims('consume', 'interaction'), async () => {
      first = (await resume()).url;
    });
    assert.ok(new URL(first).searchParams.has('code'), first);
    assert.equal(slower.url, first);
  });

  it('A finished sign-in keeps its response if an older form arrives late', async () => {
    const request = authorizationRequest(server.issuer);
    const browser = new Browser();
    const page = await browser.visit(request.url);
    const { url } = await browser.submit(page, { ...ALICE }, `${server.issuer}/authorize/`);
    const resume = async () => (await browser.visit(url, {}, request.redirectUri)).url;
    let first = '';
    const late = await meanwhile(
      () => browser.submit(page, { ...ADMIN }, `${server.issuer}/authorize/`),
      claims('replace', 'interaction'),
      async () => {
        first = await resume();
      },
    );
    assert.equal(late.status, 400);
    assert.equal(await resume(), first);
  });

  for (const [word, other, outcome] of [
    ['confirm', 'abort', 'access_denied'],
    ['abort', 'confirm', undefined],
    ['confirm', 'confirm', undefined],
  ] as const) {
    it(`The first of two answers about a device wins: ${other} before ${word}`, async () => {
      const device = await startDevice(server.issuer);
      const question = async () => {
        const browser = new Browser();
        await signIn(browser, authorizationRequest(server.issuer));
        const page = await enterCode(server.issuer, browser, device.userCode);
        return (field: string) => browser.submit(page, { [field]: 'yes' });
      };
      const [answer, answerElsewhere] = [await question(), await question()];
      const slower = await meanwhile(
        () => answer(word),
        claims('replace', 'device-code'),
        () => answerElsewhere(other),
      );
      assert.equal(slower.status, 400);
      assert.equal((await poll(server.issuer, device)).body['error'], outcome);
    });
  }

  it('The server refuses an answer about a device if its user code belongs to another device by then', async () => {
    const device = await startDevice(server.issuer);
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer));
    const page = await enterCode(server.issuer, browser, device.userCode);
    const code = device.userCode.replace('-', '');
    let key = '';
    const isItsCode = (verb: string, name: string) => {
      if (!claims('create', 'user-code')(verb, name)) return false;
      key = name;
      return true;
    };
    const late = await meanwhile(
      () => browser.submit(page, { confirm: 'yes' }),
      isItsCode,
      async () => {
        const stores = await openOwnStores(server.config.stores, systemClock);
        try {
          const ring = await storedKeys({ config: server.config, stores, random: systemRandom });
          const { grants } = stores;
          const codes = openUserCodes({ grants, random: systemRandom, key: ring.derive('user codes') });
          assert.equal(await codes.deviceCodeOf(code), device.deviceCode);
          assert.ok(await grants.delete(key));
          assert.ok(await codes.remember(code, 'another-device', { ttl: 60 }));
        } finally {
          await stores.close();
        }
      },
    );
    assert.equal(late.status, 400);
    assert.equal((await poll(server.issuer, device)).body['error'], 'authorization_pending');
  });
});
