import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Browser as Chromium, BrowserContext, Page as Tab } from 'playwright-core';
import { Browser, formOf, type Page } from '../support/browser.ts';
import { launchChromium } from '../support/chromium.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import {
  ADMIN,
  ALICE,
  authorizationRequest,
  exchangeCode,
  signIn,
  tokensFor,
  type AuthorizationRequest,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const CIBA = 'urn:openid:params:grant-type:ciba';

/** A tab in which a sign-in waits. */
interface Waiting {
  readonly browser: Browser;
  readonly request: AuthorizationRequest;
  readonly page: Page;
}

describe('A waiting sign-in page after a sign-in in another tab', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer({
      change: (config) => {
        const web = config.clients.find(({ client_id }) => client_id === 'demo-web') ?? assert.fail();
        const bank = { ...web, client_id: 'bank', grant_types: [CIBA as typeof CIBA], redirect_uris: [] };
        return { ...config, clients: [...config.clients, { ...bank, post_logout_redirect_uris: [] }] };
      },
    });
  });
  afterEach(async () => {
    returnToPresent();
    await server.close();
  });

  async function begin(
    parameters: Record<string, string> = {},
    { browser = new Browser(), clientId = 'demo-photos' } = {},
  ): Promise<Waiting> {
    const request = authorizationRequest(server.issuer, clientId, parameters);
    const page = await browser.visit(request.url);
    assert.match(page.html, /type="password"/);
    return { browser, request, page };
  }

  /** @param person who signs in in the other tab */
  async function beginTwo(parameters?: Record<string, string>, person = ALICE): Promise<Waiting> {
    const waiting = await begin(parameters);
    await signIn(waiting.browser, authorizationRequest(server.issuer), person);
    return waiting;
  }

  const visit = ({ browser, request }: Waiting, url: string): Promise<Page> =>
    browser.visit(url, {}, request.redirectUri);

  const submit = ({ browser, request, page }: Waiting, fields: Record<string, string>): Promise<Page> =>
    browser.submit(page, fields, request.redirectUri);

  async function nameIn({ request }: Waiting, { url, html }: Page): Promise<unknown> {
    assert.ok(url.startsWith(request.redirectUri), `${url}\n${html}`);
    const { status, body } = await exchangeCode(server.issuer, request, new URL(url));
    assert.equal(status, 200, JSON.stringify(body));
    const claims = await fetch(`${server.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${String(body['access_token'])}` },
    });
    return ((await claims.json()) as Record<string, unknown>)['name'];
  }

  const WAYS: Record<string, (waiting: Waiting) => Promise<Page>> = {
    'is reloaded': (waiting) => visit(waiting, waiting.page.url),
    'goes to its sign-in page': (waiting) => visit(waiting, `${waiting.page.url}/sign-in`),
    'goes to its sign-up page': (waiting) => visit(waiting, `${waiting.page.url}/sign-up`),
    'posts an empty form': (waiting) => submit(waiting, { email: '', password: '' }),
    'posts the right password': (waiting) => submit(waiting, { ...ALICE }),
    'posts the same address with another password': (waiting) => submit(waiting, { ...ALICE, password: 'mistyped' }),
    'posts the address in capitals': (waiting) => submit(waiting, { email: ' ALICE@example.com', password: '' }),
  };
  for (const [name, act] of Object.entries(WAYS)) {
    it(`The waiting sign-in page continues to its app with the new session when it ${name}`, async () => {
      const waiting = await beginTwo();
      assert.equal(await nameIn(waiting, await act(waiting)), 'Alice');
    });
  }

  it('A waiting sign-in form that is sent twice continues to the app once, with one answer for both', async () => {
    const waiting = await beginTwo();
    const [first, second] = await Promise.all([1, 2].map(() => submit(waiting, { email: '', password: '' })));
    assert.equal(second?.url, first?.url);
    assert.equal(await nameIn(waiting, first ?? assert.fail()), 'Alice');
  });

  it('A waiting sign-in form requires the password if it names another account than the session', async () => {
    const waiting = await beginTwo();
    const refused = await submit(waiting, { ...ADMIN, password: 'mistyped' });
    assert.equal(refused.status, 401);
    let page = await submit(waiting, { ...ADMIN });
    if (page.html.includes('name="xsrf"')) page = await waiting.browser.submit(page, {}, waiting.request.redirectUri);
    assert.equal(await nameIn(waiting, page), 'Admin');
  });

  it('The waiting sign-in page continues to the consent page that its app still needs', async () => {
    const browser = new Browser();
    const waiting = await begin({}, { browser, clientId: 'demo-web' });
    await signIn(browser, authorizationRequest(server.issuer));
    const page = await visit(waiting, waiting.page.url);
    assert.match(page.html, /Allow <bdi>Demo web app<\/bdi>/);
    const back = await browser.submit(page, { decision: 'allow' }, waiting.request.redirectUri);
    assert.ok(new URL(back.url).searchParams.has('code'));
  });

  const essential = (claims: object): Record<string, string> => ({ claims: JSON.stringify({ id_token: claims }) });
  const MET: Record<string, Record<string, string>> = {
    'a login_hint for the same person': { login_hint: 'Alice@example.com' },
    'a max_age that has not passed': { max_age: '600' },
    'an acr that the session has': essential({ acr: { essential: true, value: 'aal1' } }),
  };
  for (const [name, parameters] of Object.entries(MET)) {
    it(`The waiting sign-in page continues if the session satisfies the app's demand: ${name}`, async () => {
      const waiting = await beginTwo(parameters);
      assert.equal(await nameIn(waiting, await visit(waiting, waiting.page.url)), 'Alice');
    });
  }

  const UNMET: Record<string, Record<string, string> | (() => Promise<Record<string, string>>)> = {
    'a new sign-in': { prompt: 'login' },
    'a new sign-in with max_age=0': { max_age: '0' },
    'a max_age that has passed': { max_age: '5' },
    'the choice of an account': { prompt: 'select_account' },
    'a login_hint for another person': { login_hint: ADMIN.email },
    'the account of another ID token': async () => {
      const { id_token: hint = '' } = await tokensFor(server.issuer, { person: ADMIN, clientId: 'demo-photos' });
      return { id_token_hint: hint };
    },
    'another subject': essential({ sub: { value: 'somebody-else' } }),
  };
  for (const [name, given] of Object.entries(UNMET)) {
    it(`The waiting sign-in page still asks for the password if the app demands ${name}`, async () => {
      const waiting = await beginTwo(typeof given === 'function' ? await given() : given);
      travel(6);
      for (const path of ['', '/sign-in']) {
        const page = await visit(waiting, waiting.page.url + path);
        assert.match(page.html, /type="password"/, path);
        // A page that the engine asks instead of the first is asked again as well.
        assert.match((await visit(waiting, page.url)).html, /type="password"/, path);
      }
      const empty = await submit(waiting, { email: '', password: '' });
      assert.ok(!empty.url.startsWith(waiting.request.redirectUri), empty.url);
    });
  }

  it('The waiting interaction continues in no other browser, even if that browser has a session', async () => {
    const waiting = await begin();
    const other = new Browser();
    await signIn(other, authorizationRequest(server.issuer));
    const { action, hidden } = formOf(waiting.page);
    for (const answer of [
      await other.request(waiting.page.url),
      await other.request(action, {
        method: 'POST',
        body: new URLSearchParams({ ...hidden, email: '', password: '' }),
      }),
    ]) {
      assert.equal(answer.status, 400);
      assert.equal(answer.headers.get('location'), null);
    }
    // Nor does it in its own, as long as nobody has signed in there.
    assert.match((await visit(waiting, waiting.page.url)).html, /type="password"/);
  });

  it('The server refuses the approval of a CIBA request after another account has signed in', async () => {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer));
    const authorization = `Basic ${Buffer.from('bank:demo-web-secret').toString('base64')}`;
    const asked = await fetch(`${server.issuer}/backchannel_authentication`, {
      method: 'POST',
      headers: { authorization },
      body: new URLSearchParams({ login_hint: ALICE.email, scope: 'openid' }),
    });
    const { auth_req_id: id = '' } = (await asked.json()) as Record<string, string>;
    const question = await browser.visit(server.issuer);
    assert.match(question.html, /value="allow"/);
    await browser.submit(await browser.visit(`${server.issuer}/logout`), { logout: 'yes' });
    await signIn(browser, authorizationRequest(server.issuer), ADMIN);
    assert.equal((await browser.submit(question, { decision: 'allow' })).status, 403);
    assert.doesNotMatch((await browser.visit(server.issuer)).html, /value="allow"/);
    const polled = await fetch(`${server.issuer}/token`, {
      method: 'POST',
      headers: { authorization },
      body: new URLSearchParams({ grant_type: CIBA, auth_req_id: id }),
    });
    assert.equal(((await polled.json()) as Record<string, unknown>)['error'], 'authorization_pending');
  });
});

describe('The browser\'s "Back" button after a sign-in', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer({ hashesSlowly: true });
  });
  afterEach(async () => {
    returnToPresent();
    await server.close();
  });

  async function signedIn(): Promise<Waiting & { callback: URL }> {
    const browser = new Browser();
    const request = authorizationRequest(server.issuer);
    const page = await browser.visit(request.url);
    const { url } = await browser.submit(page, { ...ALICE }, request.redirectUri);
    return { browser, request, page, callback: new URL(url) };
  }

  const homeOf = ({ redirectUri }: AuthorizationRequest): string => `${new URL(redirectUri).origin}/`;

  for (const [when, seconds] of Object.entries({
    'at once': 0,
    'a minute later': 60,
    'an hour later': 3500,
  })) {
    it(`The used sign-in page redirects to the app ${when}, and gives no second response`, async () => {
      const { browser, request, page, callback } = await signedIn();
      const { status, body } = await exchangeCode(server.issuer, request, callback);
      assert.equal(status, 200);
      travel(seconds);
      for (const path of ['', '/sign-in', '/sign-up']) {
        const answer = await browser.request(page.url + path);
        assert.deepEqual([answer.status, answer.headers.get('location')], [303, homeOf(request)], path);
        assert.ok(!answer.headers.getSetCookie().some((line) => line.startsWith('latchkey_session')));
      }
      if (seconds > 600) return;
      const authorization = `Bearer ${String(body['access_token'])}`;
      assert.equal((await fetch(`${server.issuer}/userinfo`, { headers: { authorization } })).status, 200);
    });
  }

  it('The used sign-in form redirects to the app when it is sent again', async () => {
    const { browser, request, page } = await signedIn();
    travel(60);
    const { action, hidden } = formOf(page);
    for (const fields of [{ ...ALICE }, { ...ADMIN }]) {
      const body = new URLSearchParams({ ...hidden, ...fields });
      const answer = await browser.request(action, { method: 'POST', body });
      assert.deepEqual([answer.status, answer.headers.get('location')], [303, homeOf(request)]);
    }
    assert.match((await browser.visit(server.issuer)).html, /alice@example\.com/);
  });

  it('The used sign-in page redirects to the open consent page, and to the app after the answer', async () => {
    const [browser, request] = [new Browser(), authorizationRequest(server.issuer, 'demo-web')];
    const form = await browser.visit(request.url);
    const question = await browser.submit(form, { ...ALICE }, request.redirectUri);
    const back = await browser.visit(form.url, {}, request.redirectUri);
    assert.deepEqual([back.url, back.html.includes('value="allow"')], [question.url, true]);
    await browser.submit(back, { decision: 'allow' }, request.redirectUri);
    travel(60);
    assert.equal((await browser.visit(form.url, {}, homeOf(request))).url, homeOf(request));
  });

  it('The used sign-in page redirects to the account page that the person opened', async () => {
    const browser = new Browser();
    const form = await browser.visit(`${server.issuer}/sessions`);
    await browser.submit(form, { ...ALICE });
    assert.equal((await browser.visit(form.url)).url, `${server.issuer}/sessions`);
  });

  it('The used sign-in page leads nowhere in another browser, after a cancellation, and after an hour', async () => {
    const { browser, page } = await signedIn();
    const stranger = new Browser();
    await signIn(stranger, authorizationRequest(server.issuer), ADMIN);
    const gone = new Browser();
    const left = authorizationRequest(server.issuer);
    const { url } = await gone.visit(left.url);
    await gone.visit(`${url}/cancel`, {}, left.redirectUri);
    for (const answer of [await stranger.request(page.url), await gone.request(url)]) {
      assert.deepEqual([answer.status, answer.headers.get('location')], [400, null]);
    }
    travel(3700);
    const late = await browser.visit(page.url);
    assert.equal(late.status, 400);
    assert.match(late.html, /Go to your account/);
  });
});

describe('Two tabs in Chromium', function () {
  this.timeout(120_000);
  let server: TestServer;
  let apps: Server[];
  let chromium: Chromium;
  let context: BrowserContext;

  before(async () => {
    server = await startTestServer();
    apps = ['demo-notes', 'demo-photos'].map((clientId) => {
      const { port } = new URL(authorizationRequest(server.issuer, clientId).redirectUri);
      return createServer((_request, response) => {
        response.setHeader('content-type', 'text/html');
        response.end(`<p>the app ${clientId}</p>`);
      }).listen(Number(port), 'localhost');
    });
    await Promise.all(apps.map((app) => once(app, 'listening')));
    chromium = await launchChromium();
  });
  after(async () => {
    await chromium.close();
    for (const app of apps) {
      app.closeAllConnections();
      app.close();
    }
    await server.close();
  });
  beforeEach(async () => {
    context = await chromium.newContext();
  });
  afterEach(() => context.close());

  async function open(clientId: string): Promise<Tab> {
    const tab = await context.newPage();
    await tab.goto(authorizationRequest(server.issuer, clientId).url);
    return tab;
  }

  async function fillIn(tab: Tab): Promise<void> {
    await tab.getByLabel('Email').fill(ALICE.email);
    await tab.getByLabel('Password', { exact: true }).fill(ALICE.password);
    await tab.getByRole('button', { name: 'Sign in' }).click();
  }

  for (const [name, act] of Object.entries({
    'is reloaded': (tab: Tab) => tab.reload(),
    'is filled in as well': fillIn,
    'is sent with the wrong password': async (tab: Tab) => {
      await tab.getByLabel('Email').fill(ALICE.email);
      await tab.getByLabel('Password', { exact: true }).fill('mistyped');
      await tab.getByRole('button', { name: 'Sign in' }).click();
    },
  })) {
    it(`Both tabs end in their apps when the second ${name}`, async () => {
      const [first, second] = [await open('demo-notes'), await open('demo-photos')];
      await fillIn(first);
      await first.getByText('the app demo-notes').waitFor();
      await act(second);
      await second.getByText('the app demo-photos').waitFor();
      assert.ok(new URL(second.url()).searchParams.has('code'), second.url());
    });
  }

  it('The "Back" button on the app returns to the app instead of the used sign-in page', async () => {
    const tab = await open('demo-notes');
    const form = tab.url();
    await fillIn(tab);
    await tab.getByText('the app demo-notes').waitFor();
    const app = new URL(tab.url()).origin;
    await tab.goBack();
    await tab.getByText('the app demo-notes').waitFor();
    assert.equal(tab.url(), `${app}/`);
    assert.notEqual(tab.url(), form);
  });
});
