import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import {
  ADMIN,
  ALICE,
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  signIn,
  type Person,
} from '../support/flows.ts';
import { holdingStores } from '../support/held-call.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** The web app takes tokens in its redirect, without a question. */
const withTokensInRedirects = (config: Config): Config => ({
  ...config,
  clients: config.clients.map((client) =>
    client.client_id === 'demo-web'
      ? { ...client, profile: 'legacy', first_party: true, response_types: ['code', 'id_token token'] }
      : client,
  ),
});

describe('Session cookies', () => {
  let server: TestServer;
  const { openStores, meanwhile } = holdingStores();
  before(async () => {
    server = await startTestServer({ change: withTokensInRedirects, openStores });
  });
  after(() => server.close());
  afterEach(returnToPresent);

  const isSessionWrite = (verb: string, key: string): boolean =>
    ['delete', 'replace'].includes(verb) && /^session(-cookie)?:/.test(key);

  const silent = (clientId: string, more: Record<string, string> = {}) =>
    authorizationRequest(server.issuer, clientId, { prompt: 'none', ...more });

  async function isSignedIn(browser: Browser): Promise<boolean> {
    const answer = await answerAtOnce(browser, silent('demo-notes'));
    if (!('code' in answer)) assert.equal(answer['error'], 'login_required');
    return 'code' in answer;
  }

  it('A replaced session cookie expires after a minute, even if it is used meanwhile', async () => {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer));
    const former = copyOf(browser);
    await signIn(browser, authorizationRequest(server.issuer, 'demo-notes', { prompt: 'consent' }));
    assert.notEqual(former.cookies.get('latchkey_session')?.value, browser.cookies.get('latchkey_session')?.value);
    travel(40);
    assert.ok('code' in (await answerAtOnce(former, silent('demo-photos'))));
    travel(21);
    assert.deepEqual([await isSignedIn(former), await isSignedIn(browser)], [false, true]);
  });

  it('A session cookie from before a sign-in expires with the interaction lifetime, however often it is used', async () => {
    const browser = new Browser();
    let page = await browser.visit(`${server.issuer}/device`);
    /** Tells whether the form of the page that was shown last is known. */
    const isKnown = async (): Promise<boolean> => {
      page = await browser.submit(page, { user_code: 'BBBB-BBBB' });
      return page.html.includes('We couldn’t find that code');
    };
    const life = server.config.tokens.interaction;
    travel(life / 2);
    assert.ok(await isKnown());
    travel(life / 2 - 60);
    assert.ok(await isKnown());
    travel(61);
    assert.ok(!(await isKnown()));
  });

  it('A planted session cookie never gives the attacker the account of its victim, even in simultaneous sign-ins', async () => {
    const stranger = new Browser();
    await stranger.visit(`${server.issuer}/logout`);
    const victim = new Browser();
    for (const name of ['latchkey_session', 'latchkey_session.sig'])
      victim.cookies.set(name, stranger.cookies.get(name) ?? assert.fail(`no ${name}`));
    const resumed = async (browser: Browser, person: Person) => {
      const request = authorizationRequest(server.issuer);
      const page = await browser.visit(request.url);
      return { request, at: (await browser.submit(page, { ...person }, `${server.issuer}/authorize/`)).url };
    };
    const [ofVictim, ofStranger] = [await resumed(victim, ALICE), await resumed(stranger, ADMIN)];
    await meanwhile(
      () => victim.visit(ofVictim.at, {}, ofVictim.request.redirectUri),
      isSessionWrite,
      async () => {
        const { url } = await stranger.visit(ofStranger.at, {}, ofStranger.request.redirectUri);
        assert.ok(new URL(url).searchParams.has('code'), url);
      },
    );
    const request = silent('demo-notes');
    const answer = await answerAtOnce(stranger, request);
    const callback = new URL(`${request.redirectUri}?${new URLSearchParams(answer).toString()}`);
    const { body } = await exchangeCode(server.issuer, request, callback);
    assert.equal(decodeJwt(String(body['id_token']))['email'], ADMIN.email);
  });

  it('A request that crosses the end of its session receives no token', async () => {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer));
    const tab = copyOf(browser);
    const request = silent('demo-web', { response_type: 'id_token token' });
    const question = await browser.visit(`${server.issuer}/logout`);
    const answer = await meanwhile(
      () => tab.visit(request.url, {}, request.redirectUri),
      isSessionWrite,
      async () => {
        assert.match((await browser.submit(question, { logout: 'yes' })).html, /You are signed out/);
      },
    );
    assert.doesNotMatch(answer.url, /access_token/);
    assert.equal(answer.status, 400);
    assert.equal(await isSignedIn(tab), false);
  });
});

/** Another tab, as far as it has come. */
function copyOf(browser: Browser): Browser {
  const copy = new Browser();
  for (const [name, cookie] of browser.cookies) copy.cookies.set(name, cookie);
  return copy;
}
