import assert from 'node:assert/strict';
import { sha256 } from '../../src/lib/hash.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { startTwoNodes, type TwoNodes } from '../status/two-nodes.ts';
import { Browser, formOf, type Page } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { enterCode, poll, startDevice, televisions } from '../support/device.ts';
import { CountingNode } from '../support/counting-node.ts';
import { ALICE, authorizationRequest, exchangeCode, signIn, type AuthorizationRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const NEXT = 'plum cassette harbour';

/** A form, and what its person would fill in. */
interface Shown {
  readonly browser: Browser;
  readonly page: Page;
  readonly fields: Record<string, string>;
  readonly request?: AuthorizationRequest;
}

/** Followed to the app, or to the page on which it ends. */
interface Ending {
  readonly status: number;
  /** The code, or the page's first words. */
  readonly outcome: string;
}

for (const backend of serverStores) {
  describe(`Forms that are sent twice, with two nodes on ${backend.name}`, function () {
    this.timeout(120_000);
    let nodes: TwoNodes;
    beforeEach(async () => {
      nodes = await startTwoNodes(backend, (config) => ({
        ...config,
        clients: [...config.clients, ...televisions(config)],
      }));
    });
    afterEach(() => nodes.stop());

    async function begin(browser: Browser, clientId = 'demo-notes', parameters: Record<string, string> = {}) {
      const request = authorizationRequest(nodes.issuer, clientId, parameters);
      return { browser, request, page: await browser.visit(request.url, {}, request.redirectUri) };
    }

    async function signedIn(): Promise<Browser> {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(nodes.issuer));
      return browser;
    }

    const FORMS: Record<string, () => Promise<Shown>> = {
      'sign-in': async () => ({ ...(await begin(new Browser())), fields: { ...ALICE } }),
      async 'sign-up'() {
        const { browser, request, page } = await begin(new Browser());
        const form = await browser.visit(`${page.url}/sign-up`);
        const fields = { name: 'Carl', email: 'carl@example.com', password: 'nine boats at sea' };
        return { browser, request, page: form, fields };
      },
      async consent() {
        const { browser, request, page } = await begin(new Browser(), 'demo-web');
        return { browser, request, page: await browser.submit(page, { ...ALICE }), fields: { decision: 'allow' } };
      },
      async 'account choice'() {
        const chooser = await begin(await signedIn(), 'demo-notes', { prompt: 'select_account' });
        const account = /name="account"[^>]*value="([^"]*)"/.exec(chooser.page.html)?.[1] ?? assert.fail();
        return { ...chooser, fields: { account } };
      },
      async 'password change'() {
        const browser = await signedIn();
        const page = await browser.visit(`${nodes.issuer}/password`);
        return { browser, page, fields: { current: ALICE.password, next: NEXT, again: NEXT } };
      },
      async 'device confirmation'() {
        const device = await startDevice(nodes.issuer, 'box');
        const browser = await signedIn();
        return { browser, page: await enterCode(nodes.issuer, browser, device.userCode), fields: { confirm: 'yes' } };
      },
      async 'device refusal'() {
        const device = await startDevice(nodes.issuer, 'box');
        const browser = new Browser();
        return { browser, page: await enterCode(nodes.issuer, browser, device.userCode), fields: { abort: 'yes' } };
      },
      async 'sign-out'() {
        const browser = await signedIn();
        return { browser, page: await browser.visit(`${nodes.issuer}/logout`), fields: { logout: 'yes' } };
      },
      async 'staying signed in'() {
        const browser = await signedIn();
        return { browser, page: await browser.visit(`${nodes.issuer}/logout`), fields: {} };
      },
    };

    /** Sends a form and follows where it leads, as the tab of a browser that begins with these cookies. */
    async function send({ browser, page, fields, request }: Shown, node: string): Promise<Ending> {
      const tab = new Browser(browser.headers);
      for (const [name, cookie] of browser.cookies) tab.cookies.set(name, cookie);
      const { action, hidden } = formOf(page);
      const body = new URLSearchParams({ ...hidden, ...fields });
      const until = request?.redirectUri ?? 'nowhere:';
      const end = await tab.visit(action.replace(nodes.issuer, node), { method: 'POST', body }, until);
      const code = request && new URL(end.url).searchParams.get('code');
      const [, words = ''] = /<h1[^>]*>([^<]*)/.exec(end.html) ?? [];
      // What the last click leads to is what the browser keeps.
      for (const [name, cookie] of tab.cookies) browser.cookies.set(name, cookie);
      return { status: end.status, outcome: code ?? words };
    }

    for (const [name, show] of Object.entries(FORMS)) {
      it(`The second of two consecutive form submissions has the same outcome as the first: ${name}`, async () => {
        const shown = await show();
        const [{ issuer }, other] = [nodes, nodes.origins[1]];
        // The first answer is lost, cookies and all.
        const lost = { ...shown, browser: new Browser() };
        for (const [cookie, value] of shown.browser.cookies) lost.browser.cookies.set(cookie, value);
        const first = await send(lost, issuer);
        const second = await send(shown, other);
        assert.deepEqual(second, first);
        assert.ok(first.outcome !== '' && first.status < 400, JSON.stringify(first));
        if (shown.request !== undefined) await assertSignedIn(shown, first.outcome);
      });

      it(`Two simultaneous form submissions have the same outcome: ${name}`, async () => {
        const shown = await show();
        const endings = await Promise.all(nodes.origins.map((node) => send(shown, node)));
        assert.deepEqual(endings[1], endings[0]);
        const [{ outcome, status } = assert.fail()] = endings;
        assert.ok(outcome !== '' && status < 400, JSON.stringify(endings));
        if (shown.request !== undefined) await assertSignedIn(shown, outcome);
      });
    }

    /** The code is good, and so is the session of the browser that came second. */
    async function assertSignedIn({ browser, request }: Shown, code: string): Promise<void> {
      const asked = request ?? assert.fail();
      const { status } = await exchangeCode(nodes.issuer, asked, new URL(`${asked.redirectUri}?code=${code}`));
      assert.equal(status, 200);
      assert.match((await browser.visit(`${nodes.issuer}/`)).html, /<h1|example\.com/);
      const silent = authorizationRequest(nodes.issuer, 'demo-notes', { prompt: 'none' });
      const back = await browser.visit(silent.url, {}, silent.redirectUri);
      assert.ok(new URL(back.url).searchParams.has('code'), back.url);
    }

    it('Six simultaneous submissions of a sign-in form yield a single code', async () => {
      const shown = await (FORMS['sign-in'] ?? assert.fail())();
      const endings = await Promise.all([0, 1, 0, 1, 0, 1].map((node) => send(shown, nodes.origins[node] ?? '')));
      assert.equal(new Set(endings.map(({ outcome }) => outcome)).size, 1, JSON.stringify(endings));
    });

    it('The server refuses some of 24 simultaneous copies of a form with status 429, and the others agree', async () => {
      const shown = await (FORMS['password change'] ?? assert.fail())();
      const endings = await Promise.all(Array.from({ length: 24 }, () => send(shown, nodes.issuer)));
      const refused = endings.filter(({ status }) => status === 429);
      assert.ok(refused.length > 0 && refused.length < 24, JSON.stringify(endings));
      const others = endings.filter(({ status }) => status !== 429).map(({ outcome }) => outcome);
      assert.equal(new Set(others).size, 1, JSON.stringify(endings));
    });

    it('A corrected sign-in form counts as a new attempt after a wrong password', async () => {
      const shown = await (FORMS['sign-in'] ?? assert.fail())();
      const wrong = { ...shown, fields: { ...shown.fields, password: 'not the password' } };
      const [refused, done] = [await send(wrong, nodes.issuer), await send(shown, nodes.issuer)];
      assert.equal(refused.status, 401);
      await assertSignedIn(shown, done.outcome);
    });

    it('A password form with other contents counts as a new change', async () => {
      const shown = await (FORMS['password change'] ?? assert.fail())();
      assert.match((await send(shown, nodes.issuer)).outcome, /Your password has been changed/);
      const more = { ...shown, fields: { current: NEXT, next: 'nine boats at sea', again: 'nine boats at sea' } };
      assert.match((await send(more, nodes.issuer)).outcome, /Your password has been changed/);
      const stale = {
        ...shown,
        fields: { current: NEXT, next: 'cassette harbour plum', again: 'cassette harbour plum' },
      };
      assert.equal((await send(stale, nodes.issuer)).status, 401);
    });

    it('A second form of a finished sign-in only redirects to the app', async () => {
      const { browser, request, page } = await begin(new Browser());
      const again = await browser.visit(page.url);
      await browser.submit(page, { ...ALICE }, request.redirectUri);
      const home = `${new URL(request.redirectUri).origin}/`;
      const late = await browser.submit(again, { ...ALICE }, home);
      assert.equal(late.url, home);
    });

    it('A device confirmation that is sent twice approves the device once, and its device code works once', async () => {
      const device = await startDevice(nodes.issuer, 'box');
      const browser = await signedIn();
      const page = await enterCode(nodes.issuer, browser, device.userCode);
      const shown = { browser, page, fields: { confirm: 'yes' } };
      const endings = await Promise.all(nodes.origins.map((node) => send(shown, node)));
      for (const { outcome } of endings) assert.match(outcome, /device/i);
      assert.equal((await poll(nodes.issuer, device)).status, 200);
      assert.equal((await poll(nodes.issuer, device)).body['error'], 'invalid_grant');
    });
  });
}

describe('An interaction whose node died before it answered', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(async () => {
    returnToPresent();
    await server.close();
  });

  it('The server answers that the sign-in has ended, and no request waits for the lost response', async () => {
    const [browser, request] = [new Browser(), authorizationRequest(server.issuer)];
    const page = await browser.visit(request.url, {}, request.redirectUri);
    const { action, hidden } = formOf(page);
    const sent = await browser.request(action, {
      method: 'POST',
      body: new URLSearchParams({ ...hidden, ...ALICE }),
    });
    const resume = new URL(sent.headers.get('location') ?? '', server.issuer);
    const uid = resume.pathname.split('/').at(-1) ?? '';
    const store = await openStore(server.config.stores.grants, systemClock);
    const { use } = await store.consume(`interaction:${sha256(uid)}`);
    await store.close();
    assert.equal(use, 'first');
    travel(11);
    const late = await browser.visit(resume.href, {}, request.redirectUri);
    assert.equal(late.status, 400);
    assert.match(late.html, /This sign-in has ended/);
  });
});

describe('Interaction paths without an interaction', () => {
  const counting = new CountingNode();
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ openStores: counting.openStores });
  });
  after(() => server.close());

  const WRITES = /^(set|create|replace|consume|take|delete|increment)/;

  it('The cancel path writes nothing to the store for an unknown interaction or one of another browser', async () => {
    const page = await new Browser().visit(authorizationRequest(server.issuer).url);
    const { pathname } = new URL(page.url);
    const uid = pathname.split('/')[2] ?? '';
    for (const name of ['x'.repeat(43), 'X', uid]) {
      const turns = await counting.count(async () => {
        const { status } = await new Browser().request(`${server.issuer}/interaction/${name}/cancel`);
        assert.equal(status, 400);
      });
      assert.deepEqual(turns.flat().filter((verb) => WRITES.test(verb)), [], name); // prettier-ignore
    }
  });
});
