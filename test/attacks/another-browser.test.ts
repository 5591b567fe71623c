import assert from 'node:assert/strict';
import { Browser, formOf, type Page } from '../support/browser.ts';
import { poll, startDevice, enterCode, televisions } from '../support/device.ts';
import { ADMIN, ALICE, authorizationRequest, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const CIBA = 'urn:openid:params:grant-type:ciba';
const BROWSER = 'latchkey_browser_';

/** A page in the browser that it was shown to, with what its person would fill in. */
interface Shown {
  readonly browser: Browser;
  readonly page: Page;
  readonly fields: Record<string, string>;
}

describe('An interaction in another browser', () => {
  let server: TestServer;
  // The sign-ins of an address are counted, so each test has a server of its own.
  beforeEach(async () => {
    server = await startTestServer({
      change: (config) => {
        const web = config.clients.find(({ client_id }) => client_id === 'demo-web') ?? assert.fail();
        const [api = ''] = web.resources;
        const bank = { ...web, client_id: 'bank', client_name: 'The Bank', default_resource: api, grant_types: [CIBA] };
        const asks = { ...bank, grant_types: [CIBA as 'urn:openid:params:grant-type:ciba'], redirect_uris: [] };
        return {
          ...config,
          clients: [...config.clients, ...televisions(config), { ...asks, post_logout_redirect_uris: [] }],
        };
      },
    });
  });
  afterEach(() => server.close());

  const begin = async (browser: Browser, parameters: Record<string, string> = {}, client = 'demo-notes') =>
    browser.visit(authorizationRequest(server.issuer, client, parameters).url);

  async function signedIn(): Promise<Browser> {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer));
    return browser;
  }

  const PAGES: Record<string, () => Promise<Shown>> = {
    async 'sign-in'() {
      const browser = new Browser();
      return { browser, page: await begin(browser), fields: ALICE };
    },
    async 'sign-up'() {
      const browser = new Browser();
      const page = await browser.visit(`${(await begin(browser)).url}/sign-up`);
      return { browser, page, fields: { name: 'Carl', email: 'carl@example.com', password: 'nine boats at sea' } };
    },
    async consent() {
      const browser = new Browser();
      const page = await browser.submit(await begin(browser, {}, 'demo-web'), ADMIN);
      assert.match(page.html, /value="allow"/);
      return { browser, page, fields: { decision: 'allow' } };
    },
    async 'account choice'() {
      const browser = await signedIn();
      const page = await begin(browser, { prompt: 'select_account' });
      const account = /name="account"[^>]*value="([^"]*)"/.exec(page.html)?.[1] ?? assert.fail(page.html);
      return { browser, page, fields: { account } };
    },
    async 'device confirmation'() {
      const [browser, device] = [await signedIn(), await startDevice(server.issuer)];
      return { browser, page: await enterCode(server.issuer, browser, device.userCode), fields: { confirm: 'yes' } };
    },
    async 'sign-out question'() {
      const browser = await signedIn();
      return { browser, page: await browser.visit(`${server.issuer}/logout`), fields: { logout: 'yes' } };
    },
    async approval() {
      const browser = await signedIn();
      const asked = await fetch(`${server.issuer}/backchannel_authentication`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from('bank:demo-web-secret').toString('base64')}` },
        body: new URLSearchParams({ login_hint: ALICE.email, scope: 'openid' }),
      });
      assert.equal(asked.status, 200, await asked.text());
      return { browser, page: await browser.visit(`${server.issuer}/`), fields: { decision: 'allow' } };
    },
    async 'password change'() {
      const browser = await signedIn();
      const next = 'plum cassette harbour';
      const fields = { current: ALICE.password, next, again: next };
      return { browser, page: await browser.visit(`${server.issuer}/password`), fields };
    },
  };

  /** Everything but what ties a browser to what it began, as a sibling sub-domain might plant it, or less. */
  function copyOf(browser: Browser, tie: 'none' | Browser): Browser {
    const copy = new Browser();
    for (const [name, cookie] of browser.cookies) if (!name.startsWith(BROWSER)) copy.cookies.set(name, cookie);
    if (tie === 'none') return copy;
    for (const [name, cookie] of tie.cookies) if (name.startsWith(BROWSER)) copy.cookies.set(name, cookie);
    return copy;
  }

  /** What the engine would take for its cookies, were they not ours to set. */
  function plant(browser: Browser, uid: string): void {
    for (const name of ['interaction', 'resume', '_interaction', '_interaction_resume', 'latchkey_interaction'])
      browser.cookies.set(name, { value: uid, path: '/' });
  }

  const send = (browser: Browser, action: string, fields: Record<string, string>): Promise<Response> =>
    browser.request(action, { method: 'POST', body: new URLSearchParams(fields) });

  async function others(shown: Shown): Promise<Browser[]> {
    const stranger = new Browser();
    await begin(stranger);
    return [copyOf(shown.browser, 'none'), copyOf(shown.browser, stranger), stranger, await signedIn(), new Browser()];
  }

  for (const [name, show] of Object.entries(PAGES)) {
    it(`The server refuses the ${name} form from every browser except the one that it was shown to`, async () => {
      const shown = await show();
      const { action, hidden } = formOf(shown.page);
      const uid = new URL(shown.page.url).pathname.split('/')[2] ?? '';
      for (const [index, other] of (await others(shown)).entries()) {
        plant(other, uid);
        const answer = await send(other, action, { ...hidden, ...shown.fields });
        const text = await answer.text();
        assert.ok([400, 403].includes(answer.status), `browser ${index}: ${answer.status} ${text}`);
        assert.equal(answer.headers.get('location'), null, `browser ${index}`);
        assert.doesNotMatch(text, /You are signed out|Continue on your device|is changed/);
      }
      // Who answers in another's session may have spoilt the question.
      const again = await show();
      const form = formOf(again.page);
      const own = await send(again.browser, form.action, { ...form.hidden, ...again.fields });
      assert.ok([200, 303].includes(own.status), `${own.status} ${await own.text()}`);
    });
  }

  for (const name of ['sign-in', 'sign-up', 'consent', 'account choice']) {
    it(`The server shows the ${name} page and follows its cancel link only in the browser that began the interaction`, async () => {
      const shown = await (PAGES[name] ?? assert.fail())();
      const uid = new URL(shown.page.url).pathname.split('/')[2] ?? assert.fail();
      const base = `${server.issuer}/interaction/${uid}`;
      for (const other of await others(shown)) {
        plant(other, uid);
        for (const url of [base, `${base}/sign-in`, `${base}/sign-up`, `${base}/cancel`]) {
          const answer = await other.request(url);
          assert.equal(answer.status, 400, url);
          assert.equal(answer.headers.get('location'), null);
          assert.match(await answer.text(), /This sign-in has ended/);
        }
      }
      assert.equal((await shown.browser.request(base)).status, 200);
    });
  }

  it('A victim’s browser cannot finish the interaction that an attacker began', async () => {
    const [attacker, victim] = [new Browser(), new Browser()];
    const page = await begin(attacker);
    const uid = new URL(page.url).pathname.split('/')[2] ?? assert.fail();
    plant(victim, uid);
    await begin(victim);
    assert.equal((await victim.request(page.url)).status, 400);
    const { action, hidden } = formOf(page);
    assert.equal((await send(victim, action, { ...hidden, ...ALICE })).status, 400);
    const resumed = await attacker.visit(`${server.issuer}/authorize/${uid}`);
    assert.match(resumed.html, /type="password"/);
  });

  it('Only the browser that signed in can resume its authorization request', async () => {
    const browser = new Browser();
    const request = authorizationRequest(server.issuer);
    const page = await browser.visit(request.url);
    const { action, hidden } = formOf(page);
    const resume = (await send(browser, action, { ...hidden, ...ADMIN })).headers.get('location') ?? assert.fail();
    const shown = { browser, page, fields: {} };
    for (const other of await others(shown)) {
      plant(other, resume.split('/').at(-1) ?? '');
      const answer = await other.request(resume);
      assert.equal(answer.status, 400);
      assert.equal(answer.headers.get('location'), null);
      assert.doesNotMatch((await other.visit(server.issuer)).html, /admin@example\.com/);
    }
    const back = await browser.visit(resume, {}, request.redirectUri);
    assert.ok(new URL(back.url).searchParams.has('code'));
  });

  it('The server repeats an authorization response only to the browser that received it', async () => {
    const browser = new Browser();
    const request = authorizationRequest(server.issuer);
    const page = await browser.visit(request.url);
    const { action, hidden } = formOf(page);
    const resume = (await send(browser, action, { ...hidden, ...ADMIN })).headers.get('location') ?? assert.fail();
    await browser.visit(resume, {}, request.redirectUri);
    for (const other of await others({ browser, page, fields: {} })) {
      const answer = await other.request(resume);
      assert.equal(answer.status, 400);
      assert.ok(!answer.headers.getSetCookie().some((line) => line.startsWith('latchkey_session=')));
    }
  });

  it('Another browser that resumes a device sign-in does not approve the device', async () => {
    const [browser, device] = [new Browser(), await startDevice(server.issuer, 'box')];
    const confirm = await enterCode(server.issuer, browser, device.userCode);
    const page = await browser.submit(confirm, { confirm: 'yes' });
    const { action, hidden } = formOf(page);
    const resume = (await send(browser, action, { ...hidden, ...ADMIN })).headers.get('location') ?? assert.fail();
    assert.match(resume, /\/device\//);
    for (const other of await others({ browser, page, fields: {} })) {
      plant(other, resume.split('/').at(-1) ?? '');
      assert.doesNotMatch((await other.visit(resume)).html, /Continue on your device/);
    }
    assert.equal((await poll(server.issuer, device)).body['error'], 'authorization_pending');
    assert.match((await browser.visit(resume)).html, /Continue on your device/);
  });

  it('A browser that begins three sign-ins at once can finish each of them in its own tab', async () => {
    const browser = new Browser();
    const requests = [1, 2, 3].map(() => authorizationRequest(server.issuer));
    const begun = await Promise.all(requests.map(({ url }) => browser.request(url)));
    const ties = new Set(
      begun.flatMap((answer) => answer.headers.getSetCookie()).filter((line) => line.startsWith(BROWSER)),
    );
    assert.equal(ties.size, 3);
    const pages = await Promise.all(
      begun.map((answer) => browser.visit(new URL(answer.headers.get('location') ?? '', server.issuer).href)),
    );
    for (const [index, page] of pages.entries()) {
      const back = await browser.submit(page, ALICE, requests[index]?.redirectUri);
      assert.ok(new URL(back.url).searchParams.has('code'), back.html);
    }
    // One that has a cookie gets no other.
    const next = await browser.request(authorizationRequest(server.issuer, 'demo-notes', { prompt: 'login' }).url);
    const names = next.headers.getSetCookie().map((line) => line.split('=')[0] ?? '');
    for (const name of names.filter((one) => one.startsWith(BROWSER))) assert.ok(browser.cookies.has(name));
    assert.equal([...browser.cookies.keys()].filter((name) => name.startsWith(BROWSER)).length, 3);
  });

  it('The server prefixes all its cookie names and leaves the cookies of apps on other ports alone', async () => {
    const browser = await signedIn();
    await browser.visit(`${server.issuer}/logout`);
    await enterCode(server.issuer, browser, (await startDevice(server.issuer)).userCode);
    const names = [...browser.cookies.keys()];
    assert.ok(names.length >= 4, names.join());
    for (const name of names) assert.match(name, /^latchkey_/);
    for (const name of ['session', 'session.sig', 'device', 'interaction', 'resume'])
      browser.cookies.set(name, { value: 'of-an-app', path: '/' });
    await begin(browser, { prompt: 'login' });
    assert.equal(browser.cookies.get('session')?.value, 'of-an-app');
    assert.match((await browser.visit(server.issuer)).html, /alice@example\.com/);
  });
});
