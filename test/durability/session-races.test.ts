import assert from 'node:assert/strict';
import { serverStores } from '../oidc/server-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import {
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  signIn,
  tokensFor,
  type AuthorizationRequest,
} from '../support/flows.ts';
import { startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';

const ROUNDS = 8;

for (const backend of serverStores) {
  describe(`Parallel requests of one session at two nodes on ${backend.name}`, () => {
    let store: RunningBackend;
    let server: TestServer;
    let second: ServerProcess;

    before(async () => {
      store = await backend.start();
      server = await startTestServer({ store: store.url, hashesSlowly: true });
      second = await startServerProcess({ directory: server.directory, issuer: server.issuer, store: store.url });
      // Remembered, so that this client too is answered without a page from now on.
      await tokensFor(server.issuer, { clientId: 'demo-web' });
    });

    after(async () => {
      await second.close();
      await server.close();
      await store.stop();
    });

    /** A request that is answered without a page; every other one goes to the second node. */
    function silent(clientId: string, at: number, parameters: Record<string, string> = {}): AuthorizationRequest {
      const request = authorizationRequest(server.issuer, clientId, { prompt: 'none', ...parameters });
      return { ...request, url: at % 2 === 0 ? request.url : request.url.replace(server.issuer, second.url) };
    }

    /** @returns the answer to the exchange of the code that the request is answered with */
    async function exchanged(browser: Browser, request: AuthorizationRequest): Promise<Record<string, unknown>> {
      const answer = await answerAtOnce(browser, request);
      assert.ok('code' in answer, JSON.stringify(answer));
      const { status, body } = await exchangeCode(server.issuer, request, callbackOf(request, answer));
      assert.equal(status, 200, JSON.stringify(body));
      return body;
    }

    function callbackOf({ redirectUri }: AuthorizationRequest, answer: Record<string, string>): URL {
      return new URL(`${redirectUri}?${new URLSearchParams(answer).toString()}`);
    }

    async function signedIn(): Promise<Browser> {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(server.issuer));
      return browser;
    }

    async function isSignedIn(browser: Browser): Promise<boolean> {
      const answer = await answerAtOnce(browser, silent('demo-notes', 0));
      if (!('code' in answer)) assert.equal(answer['error'], 'login_required');
      return 'code' in answer;
    }

    /** As many rounds of the same. */
    async function rounds(round: (at: number) => Promise<void>): Promise<void> {
      for (let at = 0; at < ROUNDS; at += 1) await round(at);
    }

    it('Parallel requests of two new clients get two codes that work', () =>
      rounds(async (at) => {
        const browser = await signedIn();
        const requests = [silent('demo-photos', at), silent('demo-web', at + 1)];
        await Promise.all(requests.map((request) => exchanged(browser, request)));
      }));

    it('Parallel requests of one new client in two tabs get two codes that work', () =>
      rounds(async (at) => {
        const browser = await signedIn();
        const requests = [silent('demo-photos', at), silent('demo-photos', at + 1)];
        await Promise.all(requests.map((request) => exchanged(browser, request)));
      }));

    it('Parallel requests of one client each get the scopes that they asked for', () =>
      rounds(async (at) => {
        const browser = await signedIn();
        const api = { scope: 'openid notes:read', resource: apiOf(server.issuer) };
        const requests = [silent('demo-notes', at, api), silent('demo-notes', at + 1, { scope: 'openid roles' })];
        const answers = await Promise.all(requests.map((request) => exchanged(browser, request)));
        assert.deepEqual(
          answers.map(({ scope }) => scope),
          ['notes:read', 'openid roles'],
        );
      }));

    it('A session stays ended after a sign-out, even if a silent request ran at the same time', () =>
      rounds(async (at) => {
        const browser = await signedIn();
        const tabs = [browser, copyOf(browser)] as const;
        const question = await browser.visit(new URL('/logout', server.issuer).href);
        const answered = answerAtOnce(tabs[1], silent('demo-photos', at));
        await Promise.all([browser.submit(question, { logout: 'yes' }), answered]);
        for (const tab of [...tabs, copyOf(browser)]) assert.equal(await isSignedIn(tab), false);
      }));

    it('A session continues in both tabs if one consents while the other makes a silent request', () =>
      rounds(async (at) => {
        const browser = await signedIn();
        const request = authorizationRequest(server.issuer, 'demo-web', { prompt: 'consent' });
        const page = await browser.visit(request.url);
        const tab = copyOf(browser);
        const [consented] = await Promise.all([
          browser.submit(page, { decision: 'allow' }, request.redirectUri),
          exchanged(tab, silent('demo-photos', at)),
        ]);
        const { status, body } = await exchangeCode(server.issuer, request, new URL(consented.url));
        assert.equal(status, 200, JSON.stringify(body));
        assert.deepEqual([await isSignedIn(browser), await isSignedIn(tab)], [true, true]);
      }));

    it('The sign-out page still works after a parallel silent request', () =>
      rounds(async (at) => {
        const browser = await signedIn();
        const [question] = await Promise.all([
          browser.visit(new URL('/logout', server.issuer).href),
          answerAtOnce(copyOf(browser), silent('demo-photos', at)),
        ]);
        const answer = await browser.submit(question, { logout: 'yes' });
        assert.equal(answer.status, 200, answer.html);
        assert.equal(await isSignedIn(browser), false);
      }));
  });
}

/** Another tab, as far as it has come: what the answers set from now on stays its own. */
function copyOf(browser: Browser): Browser {
  const copy = new Browser(browser.headers);
  for (const [name, cookie] of browser.cookies) copy.cookies.set(name, cookie);
  return copy;
}
