import assert from 'node:assert/strict';
import type { RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { ADMIN, ALICE, answerAtOnce, authorizationRequest, exchangeCode, signIn, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { serverStores } from './server-stores.ts';

const SESSION = ['latchkey_session', 'latchkey_session.sig'];

for (const backend of serverStores) {
  describe(`Sessions on ${backend.name}`, () => {
    let store: RunningBackend;
    let server: TestServer;
    before(async () => {
      store = await backend.start();
      server = await startTestServer({ store: store.url });
    });
    after(async () => {
      await server.close();
      await store.stop();
    });

    const silent = (clientId: string): ReturnType<typeof authorizationRequest> =>
      authorizationRequest(server.issuer, clientId, { prompt: 'none' });

    async function signedIn(person = ALICE): Promise<Browser> {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(server.issuer), person);
      return browser;
    }

    /** Another browser with the same cookies. */
    function copyOf(browser: Browser): Browser {
      const copy = new Browser();
      for (const [name, cookie] of browser.cookies) copy.cookies.set(name, cookie);
      return copy;
    }

    it('A session receives a new id at the sign-in, so that a planted cookie is useless', async () => {
      const attacker = await signedIn(ADMIN);
      const victim = copyOf(attacker);
      const request = authorizationRequest(server.issuer, 'demo-notes', { prompt: 'login' });
      await signIn(victim, request, ALICE);
      assert.notEqual(victim.cookies.get('latchkey_session')?.value, attacker.cookies.get('latchkey_session')?.value);
      assert.equal((await answerAtOnce(attacker, silent('demo-notes')))['error'], 'login_required');
    });

    it('A session receives a new id when the same person signs in again', async () => {
      const browser = await signedIn();
      const before = copyOf(browser);
      await signIn(browser, authorizationRequest(server.issuer, 'demo-notes', { prompt: 'login' }));
      assert.notEqual(browser.cookies.get('latchkey_session')?.value, before.cookies.get('latchkey_session')?.value);
      assert.equal((await answerAtOnce(before, silent('demo-notes')))['error'], 'login_required');
      assert.match((await answerAtOnce(browser, silent('demo-notes')))['code'] ?? '', /./);
    });

    it('A session cookie without its signature, or with another signature, does not open the session', async () => {
      const [browser, other] = [await signedIn(), await signedIn(ADMIN)];
      for (const signature of ['', 'x'.repeat(27), other.cookies.get('latchkey_session.sig')?.value ?? '']) {
        const copy = copyOf(browser);
        copy.cookies.set('latchkey_session.sig', { value: signature, path: '/' });
        assert.equal((await answerAtOnce(copy, silent('demo-notes')))['error'], 'login_required');
      }
      assert.equal(SESSION.filter((name) => browser.cookies.has(name)).length, 2);
    });

    it('A session admits two new apps that ask at the same moment', async () => {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(server.issuer, 'demo-web'), ALICE);
      const requests = [silent('demo-notes'), silent('demo-photos')];
      const callbacks = await Promise.all(
        requests.map((request) => copyOf(browser).visit(request.url, {}, request.redirectUri)),
      );
      for (const [at, request] of requests.entries()) {
        const { status, body } = await exchangeCode(server.issuer, request, new URL(callbacks[at]?.url ?? ''));
        assert.equal(status, 200, JSON.stringify(body));
      }
    });

    /** A session in the middle of its life: its cookie was changed a moment ago, when the person consented to an app. */
    async function withFormerCookie() {
      const browser = new Browser();
      const { id_token = '' } = await tokensFor(server.issuer, { browser });
      const former = copyOf(browser);
      await signIn(browser, authorizationRequest(server.issuer, 'demo-web', { prompt: 'consent' }));
      assert.notEqual(browser.cookies.get('latchkey_session')?.value, former.cookies.get('latchkey_session')?.value);
      const logOut = (): Promise<unknown> => copyOf(browser).visit(`${server.issuer}/logout?id_token_hint=${id_token}`);
      return { browser, former, logOut };
    }

    it('A session serves the requests that were under way when its cookie changed', async () => {
      const { former } = await withFormerCookie();
      assert.match((await answerAtOnce(former, silent('demo-photos')))['code'] ?? '', /./);
    });

    it('The end of a session also invalidates its former cookie', async () => {
      const { browser, former, logOut } = await withFormerCookie();
      await logOut();
      for (const each of [browser, former]) {
        assert.equal((await answerAtOnce(each, silent('demo-notes')))['error'], 'login_required');
      }
    });

    it('A session without an account expires within the hour, because anybody can start any number', async () => {
      const response = await new Browser().request(`${server.issuer}/logout`);
      const cookie = response.headers.getSetCookie().find((line) => line.startsWith('latchkey_session=')) ?? '';
      const until = Date.parse(/expires=([^;]+)/i.exec(cookie)?.[1] ?? '');
      assert.ok(until > Date.now() && until <= Date.now() + server.config.tokens.interaction * 1000, cookie);
    });

    it('An ended session is not restored by a request that began before its end', async () => {
      for (let round = 0; round < 4; round += 1) {
        const { browser, former, logOut } = await withFormerCookie();
        const requests = ['demo-notes', 'demo-photos', 'demo-notes', 'demo-photos'].map(silent);
        const underWay = requests.flatMap((request) =>
          [browser, former].map((each) => copyOf(each).visit(request.url, {}, request.redirectUri)),
        );
        await Promise.all([...underWay, logOut()]);
        for (const each of [browser, former]) {
          assert.equal((await answerAtOnce(each, silent('demo-notes')))['error'], 'login_required');
        }
      }
    });
  });
}
