import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { Browser, type Page } from '../support/browser.ts';
import {
  ADMIN,
  ALICE,
  authorizationRequest,
  exchangeCode,
  signIn,
  type AuthorizationRequest,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

/** Another app of somebody else's, and links on the page of the first. */
function withOtherApp(config: Config): Config {
  const web = config.clients.filter(({ client_id }) => client_id === 'demo-web');
  return {
    ...config,
    clients: [
      ...config.clients.filter((client) => !web.includes(client)),
      ...web.map((client) => ({
        ...client,
        policy_uri: 'https://web.example/privacy',
        default_resource: client.resources[0] ?? '',
      })),
      ...web.map((client) => ({ ...client, client_id: 'other-web', client_name: 'Other <b>app</b>' })),
    ],
  };
}

describe('Consent', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer({ change: withOtherApp });
  });
  afterEach(() => server.close());

  const requestOf = (scope: string, parameters: Record<string, string> = {}): AuthorizationRequest =>
    authorizationRequest(server.issuer, 'demo-web', { scope, ...parameters });

  const visit = (browser: Browser, request: AuthorizationRequest): Promise<Page> =>
    browser.visit(request.url, {}, request.redirectUri);

  /** What a person sees after signing in: the question, or the app again. */
  async function signInFor(request: AuthorizationRequest, person = ALICE, browser = new Browser()): Promise<Page> {
    return browser.submit(await visit(browser, request), person, request.redirectUri);
  }

  const isAsked = (page: Page): boolean => page.status === 200 && page.html.includes('value="allow"');

  /** The lines of the page's list of what the app will be able to do. */
  function list(page: Page): string[] {
    const items = /<ul class="scopes">(.*?)<\/ul>/s.exec(page.html)?.[1] ?? '';
    return [...items.matchAll(/<li>(.*?)<\/li>/gs)].map(([, item = '']) => item.replace(/<[^>]+>/g, '').trim());
  }

  it('The consent page names the app, the account, the requested access and the host that receives the answer', async () => {
    const page = await signInFor(requestOf('openid profile email notes:read offline_access', { prompt: 'consent' }));
    assert.ok(isAsked(page));
    assert.match(page.html, /Demo web app/);
    assert.match(page.html, /alice@example\.com/);
    assert.match(page.html, new RegExp(new URL(requestOf('openid').redirectUri).host));
    assert.match(page.html, /href="https:\/\/web\.example\/privacy"/);
    const words = list(page);
    assert.ok(
      words.some((line) => /^Read your notes\s+in Notes API$/.test(line)),
      words.join('\n'),
    );
    assert.ok(words.includes('Keep this access even when you are not using the app'));
    for (const raw of ['notes:read', 'offline_access', 'openid']) assert.ok(!words.includes(raw), raw);
  });

  it('The server records no consent from a page whose session has ended', async () => {
    const browser = new Browser();
    const page = await signInFor(requestOf('openid profile'), ALICE, browser);
    assert.ok(isAsked(page));
    const question = await browser.visit(`${server.issuer}/logout`);
    assert.match((await browser.submit(question, { logout: 'yes' })).html, /You are signed out/);
    const { status } = await browser.submit(page, { decision: 'allow' }, requestOf('openid').redirectUri);
    assert.ok(status >= 400 && status < 500, String(status));
    assert.ok(isAsked(await signInFor(requestOf('openid profile'))));
  });

  it('The consent page offers offline access even if the app does not send prompt=consent', async () => {
    const page = await signInFor(requestOf('openid offline_access'));
    assert.ok(list(page).includes('Keep this access even when you are not using the app'), page.html);
  });

  it('A first-party app receives its code without a consent page', async () => {
    const browser = new Browser();
    const request = authorizationRequest(server.issuer, 'demo-notes');
    const page = await browser.submit(await visit(browser, request), ALICE, request.redirectUri);
    assert.ok(page.url.startsWith(request.redirectUri));
  });

  it('An app receives a code for exactly what the person allowed', async () => {
    const [browser, request] = [new Browser(), requestOf('openid notes:read')];
    const question = await signInFor(request, ALICE, browser);
    const back = await browser.submit(question, { decision: 'allow' }, request.redirectUri);
    const { body } = await exchangeCode(server.issuer, request, new URL(back.url));
    const { claims } = await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    assert.equal(claims['scope'], 'notes:read');
  });

  it('The app receives access_denied after a refusal, and its next request shows the consent page again', async () => {
    const [browser, request] = [new Browser(), requestOf('openid')];
    const question = await signInFor(request, ALICE, browser);
    const back = new URL((await browser.submit(question, { decision: 'deny' }, request.redirectUri)).url);
    assert.equal(back.searchParams.get('error'), 'access_denied');
    assert.equal(back.searchParams.get('state'), new URL(request.url).searchParams.get('state'));
    assert.equal(back.searchParams.get('code'), null);
    assert.ok(isAsked(await visit(browser, request)));
  });

  async function allow(scope: string, person = ALICE): Promise<void> {
    const [browser, request] = [new Browser(), requestOf(scope)];
    await browser.submit(await signInFor(request, person, browser), { decision: 'allow' }, request.redirectUri);
  }

  it('The server records consent only for the exact answer "allow"', async () => {
    const browser = new Browser();
    const request = requestOf('openid');
    let question = await signInFor(request, ALICE, browser);
    for (const answer of [{}, { decision: '' }, { decision: 'Allow' }, { decision: 'yes' }]) {
      const page = await browser.submit(question, answer, request.redirectUri);
      assert.equal(new URL(page.url).searchParams.get('code'), null);
      question = await visit(browser, request);
      assert.ok(isAsked(question), JSON.stringify(answer));
    }
  });

  it('The server remembers consent in every browser, for the same scopes and for fewer', async () => {
    await allow('openid profile email');
    for (const scope of ['openid profile email', 'openid email']) {
      assert.ok(!isAsked(await signInFor(requestOf(scope))), scope);
    }
  });

  it('The consent page asks only for the scopes that the person has not allowed yet', async () => {
    await allow('openid profile');
    const [browser, request] = [new Browser(), requestOf('openid profile notes:read')];
    const question = await signInFor(request, ALICE, browser);
    assert.deepEqual(
      list(question).map((line) => line.replace(/\s+/g, ' ')),
      ['Read your notes in Notes API'],
    );
    await browser.submit(question, { decision: 'allow' }, request.redirectUri);
    assert.ok(!isAsked(await signInFor(requestOf('openid profile notes:read'))));
  });

  it('Consent holds only for the account that gave it and for the app that received it', async () => {
    await allow('openid');
    assert.ok(isAsked(await signInFor(requestOf('openid'), ADMIN)));
    const { redirectUri } = requestOf('openid');
    const other = authorizationRequest(server.issuer, 'other-web', { scope: 'openid', redirect_uri: redirectUri });
    const page = await signInFor(other);
    assert.ok(isAsked(page));
    assert.ok(page.html.includes('Other &lt;b&gt;app&lt;/b&gt;'));
  });

  it('prompt=consent shows the consent page again even if the person has already allowed everything', async () => {
    await allow('openid');
    assert.ok(isAsked(await signInFor(requestOf('openid', { prompt: 'consent' }))));
  });

  it('The server refuses a consent form without its CSRF token and from another browser', async () => {
    const [browser, request] = [new Browser(), requestOf('openid')];
    const question = await signInFor(request, ALICE, browser);
    const action = `${question.url}/consent`;
    const body = (csrf: string): URLSearchParams => new URLSearchParams({ decision: 'allow', csrf });
    assert.equal((await browser.request(action, { method: 'POST', body: body('') })).status, 403);
    const csrf = /name="csrf" value="([^"]+)"/.exec(question.html)?.[1] ?? '';
    const stranger = await fetch(action, { method: 'POST', body: body(csrf), redirect: 'manual' });
    assert.equal(stranger.status, 400);
    assert.ok(isAsked(await visit(browser, request)));
  });

  it('The server refuses a consent form before the sign-in and in place of a required new sign-in', async () => {
    const browser = new Browser();
    const first = authorizationRequest(server.issuer);
    for (const request of [requestOf('openid'), requestOf('openid', { prompt: 'login' })]) {
      const page = await visit(browser, request);
      assert.match(page.html, /type="password"/);
      const csrf = /name="csrf" value="([^"]+)"/.exec(page.html)?.[1] ?? '';
      const body = new URLSearchParams({ decision: 'allow', csrf });
      assert.equal((await browser.request(`${page.url}/consent`, { method: 'POST', body })).status, 400);
      await signIn(browser, first);
    }
    assert.ok(isAsked(await visit(browser, requestOf('openid'))));
  });
});
