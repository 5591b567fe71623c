import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { prolong } from '../../src/oidc/storage/interaction-life.ts';
import { pendingRequests } from '../../src/oidc/storage/pending-requests.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { serverStores } from '../oidc/server-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { televisions } from '../support/device.ts';
import {
  ADMIN,
  ALICE,
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  signIn,
  type Person,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const KIB = 64;
/** More than fit into the budget of one address, whatever the kind. */
const FLOOD = 150;

/** Small budgets, and a proxy in front that says where a request comes from. */
function change(config: Config): Config {
  return {
    ...config,
    listen: { ...config.listen, trusted_proxies: ['127.0.0.1', '::1'] },
    pending_requests: { kib_per_address: KIB, kib_total: 512 },
    clients: [...config.clients, ...televisions(config)],
  };
}

const from = (address: string): Browser => new Browser({ 'x-forwarded-for': address });
const basic = { authorization: `Basic ${Buffer.from('demo-web:demo-web-secret').toString('base64')}` };

for (const store of serverStores) {
  describe(`Anonymous requests on ${store.name}`, function () {
    this.timeout(120_000);
    let backend: RunningBackend;
    let server: TestServer;

    beforeEach(async () => {
      backend = await store.start();
      server = await startTestServer({ store: backend.url, change });
    });
    afterEach(async () => {
      returnToPresent();
      await server.close();
      await backend.stop();
    });

    const authorize = (address: string, parameters = {}) =>
      from(address).request(authorizationRequest(server.issuer, 'demo-notes', parameters).url);

    const post = (path: string, address: string, parameters: Record<string, string>, headers = {}) =>
      fetch(server.issuer + path, {
        method: 'POST',
        headers: { 'x-forwarded-for': address, ...headers },
        body: new URLSearchParams(parameters),
      });

    const push = (address: string, clientId = 'demo-notes', headers = {}) => {
      const request = new URL(authorizationRequest(server.issuer, clientId).url).searchParams;
      return post('/par', address, Object.fromEntries(request), headers);
    };

    /** Sends until no more is taken. @returns how many were */
    async function fill(send: () => Promise<Response>, most = FLOOD): Promise<number> {
      for (let taken = 0; taken < most; taken += 1) if ((await send()).status === 429) return taken;
      return assert.fail(`none of ${most} requests was refused`);
    }

    it('Pending requests fill only the share of their own address', async () => {
      const taken = await fill(() => authorize('192.0.2.1'));
      assert.ok(taken >= 10 && taken < 60, String(taken));
      assert.equal((await authorize('192.0.2.2')).status, 303);
    });

    it('The refusal of a further pending request is a page that explains the limit and sets Retry-After', async () => {
      await fill(() => authorize('192.0.2.1'));
      const page = await authorize('192.0.2.1');
      assert.equal(page.status, 429);
      assert.equal(page.headers.get('retry-after'), '300');
      assert.match(await page.text(), /Too many requests from your network/);
    });

    it('A signed-in browser can still send requests at an address with too many of them', async () => {
      const browser = from('192.0.2.1');
      await signIn(browser, authorizationRequest(server.issuer));
      await fill(() => authorize('192.0.2.1'));
      const silent = authorizationRequest(server.issuer, 'demo-photos', { prompt: 'none' });
      assert.match((await answerAtOnce(browser, silent))['code'] ?? '', /./);
      const again = authorizationRequest(server.issuer, 'demo-notes', { prompt: 'login' });
      assert.equal((await exchangeCode(server.issuer, again, await signIn(browser, again))).status, 200);
    });

    it('A pending request no longer counts once somebody has signed in by it', async () => {
      const long = { ui_locales: 'x'.repeat(500), acr_values: 'x'.repeat(500) };
      const taken = await fill(() => authorize('192.0.2.1', long));
      for (let times = 0; times <= taken; times += 1) {
        await signIn(from('192.0.2.2'), authorizationRequest(server.issuer, 'demo-notes', long));
      }
    });

    it('A pending request still counts if an existing session finished it without a password', async () => {
      const browser = from('192.0.2.1');
      await signIn(browser, authorizationRequest(server.issuer));
      const session = [...browser.cookies].filter(([name]) => name.includes('session'));
      const begin = async (waiting: Browser, parameters: Record<string, string>, end: (page: string) => string) => {
        const request = authorizationRequest(server.issuer, 'demo-notes', parameters);
        const begun = await waiting.request(request.url);
        for (const [name, cookie] of session) waiting.cookies.set(name, cookie);
        const url = end(new URL(begun.headers.get('location') ?? '', server.issuer).href);
        if (begun.status === 303) await answerAtOnce(waiting, { ...request, url });
        return begun;
      };
      await fill(() => begin(from('192.0.2.1'), {}, (page) => page));
      await fill(() => begin(browser, { prompt: 'login' }, (page) => `${page}/cancel`));
    });

    it('All networks of a /56 share one budget, and so do those of a /48', async () => {
      const of = (prefix: string) => {
        let network = 0;
        return fill(() => authorize(`${prefix}${(network++).toString(16).padStart(2, '0')}::1`));
      };
      const one = await fill(() => authorize('2001:db8:ffff:1::1'));
      const household = await of('2001:db8:1:7a');
      assert.ok(household >= one && household < 3 * one, `${household} of a /56, ${one} of a /64`);
      assert.equal((await authorize('2001:db8:1:7b00::1')).status, 303, 'the next /56');
      let network = 0;
      const site = await fill(
        () => authorize(`2001:db8:2:${((network += 0x100) & 0xffff).toString(16)}::1`),
        3 * FLOOD,
      );
      assert.ok(site >= 2 * one && site < 5 * one, `${site} of a /48, ${one} of a /64`);
      await fill(() => authorize('64:ff9b::192.0.2.77'));
      assert.equal((await authorize('192.0.2.77')).status, 429, 'the address behind NAT64');
    });

    it('A pending request expires after ten minutes unless its page was opened', async () => {
      const [unopened, opened] = [from('192.0.2.1'), from('192.0.2.2')];
      const pages = await Promise.all(
        [unopened, opened].map((browser) => browser.request(authorizationRequest(server.issuer).url)),
      );
      const [left, used] = pages.map((page) => new URL(page.headers.get('location') ?? '', server.issuer).href);
      const page = await opened.visit(used ?? '');
      travel(601);
      assert.equal((await unopened.request(left ?? '')).status, 400);
      assert.equal((await opened.request(page.url)).status, 200);
      travel(3000);
      assert.equal((await opened.request(page.url)).status, 400);
    }); // prettier-ignore

    it('Pushed requests fill only the share of their address, or of a client that has a secret', async () => {
      await fill(() => push('192.0.2.1'));
      const refused = await push('192.0.2.1');
      assert.equal(refused.headers.get('retry-after'), '30');
      assert.equal(((await refused.json()) as { error?: string }).error, 'temporarily_unavailable');
      assert.equal((await push('192.0.2.2')).status, 201, 'another address');
      for (let times = 0; times < FLOOD; times += 1)
        assert.equal((await push('192.0.2.1', 'demo-web', basic)).status, 201);
      travel(61);
      assert.equal((await push('192.0.2.1')).status, 201, 'after a minute');
    });

    it('Device authorization requests fill only the share of their address', async () => {
      const device = (address: string) => post('/device_authorization', address, { client_id: 'tv', scope: 'openid' });
      await fill(() => device('192.0.2.1'));
      const refused = await device('192.0.2.1');
      assert.equal(refused.status, 429);
      assert.equal(((await refused.json()) as { error?: string }).error, 'temporarily_unavailable');
      assert.equal((await device('192.0.2.2')).status, 200);
      assert.equal((await authorize('192.0.2.1')).status, 303, 'signing in has a budget of its own');
    });

    for (const path of ['/device', '/logout']) {
      it(`Requests to ${path} create only as many sessions as the share of an address allows`, async () => {
        await fill(() => from('192.0.2.1').request(server.issuer + path));
        const page = await from('192.0.2.1').request(server.issuer + path);
        assert.equal(page.status, 429);
        assert.match(await page.text(), /Too many requests from your network/);
        assert.notEqual((await from('192.0.2.2').request(server.issuer + path)).status, 429);
      }); // prettier-ignore
    }

    it('A pending request counts once even if its page is opened many times at once', async () => {
      const [grants, clock] = [await openStore(backend.url, systemClock), systemClock];
      const limits = { kib_per_address: 4, kib_total: 4 };
      const pending = pendingRequests({ grants, clock, limits, knownBrowser: () => undefined });
      // About 1 KiB as it is counted.
      const payload = { jti: 'x'.repeat(100), exp: Math.floor(clock.now() / 1000) + 3600 };
      const open = async (name: string, times = 1): Promise<number> => {
        await grants.create<object>(`interaction:${name}`, {}, { ttl: 600 });
        const stored = (await grants.get<object>(`interaction:${name}`)) ?? assert.fail();
        const one = () => prolong({ grants, clock, pending }, `interaction:${name}`, stored, payload);
        await Promise.all(Array.from({ length: times }, one));
        const { expiresAt = 0 } = (await grants.get(`interaction:${name}`)) ?? {};
        return Math.round((expiresAt - clock.now()) / 600_000);
      };
      const tens = [await open('one', 20)];
      for (const name of ['two', 'three', 'four', 'five']) tens.push(await open(name));
      await grants.close();
      assert.deepEqual(tens, [6, 6, 6, 6, 1]);
    });

    it('All pending requests together fit into the server’s total budget', async () => {
      let host = 0;
      const address = () => `198.51.${(host >> 8) & 255}.${host++ & 255}`;
      const taken = await fill(() => authorize(address()), 2000);
      assert.ok(taken > 150 && taken < 512, `${taken} were taken`);
    });
  });
}

describe('A browser in which somebody has signed in before', function () {
  this.timeout(120_000);
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change });
  });
  after(() => server.close());

  /** Nobody is signed in there any more. */
  async function known(address: string, person: Person): Promise<Browser> {
    const browser = from(address);
    await signIn(browser, authorizationRequest(server.issuer), person);
    for (const name of browser.cookies.keys()) if (name.includes('session')) browser.cookies.delete(name);
    return browser;
  }

  it('A known browser can begin a sign-in even if another account has used up its own share', async () => {
    const { url } = authorizationRequest(server.issuer, 'demo-notes');
    const owner = await known('198.51.100.1', ALICE);
    const others: Browser[] = [];
    for (let made = 0; made < 80; made += 1) others.push(await known(`192.0.2.${made % 4}`, ADMIN));
    for (const browser of others) {
      for (let taken = 0; taken < 10 && (await browser.request(url)).status === 303; taken += 1);
    }
    assert.equal((await owner.request(url)).status, 303);
  });
});

describe('Parameter length limits', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change });
  });
  after(() => server.close());

  const LONGEST = { state: 2048, nonce: 512, login_hint: 512, ui_locales: 512, acr_values: 512, claims: 4096 };

  for (const [name, most] of Object.entries(LONGEST)) {
    it(`The authorization and PAR endpoints limit the length of ${name}`, async () => {
      const value = (length: number) =>
        name === 'claims' ? `{"userinfo":{"${'x'.repeat(length - 22)}":null}}` : 'x'.repeat(length);
      const sent = (length: number) => authorizationRequest(server.issuer, 'demo-web', { [name]: value(length) });
      const answers = [most, most + 1].map(async (length) => {
        const { url } = sent(length);
        const browser = await from('192.0.2.9').request(url);
        const pushed = await fetch(`${server.issuer}/par`, {
          method: 'POST',
          headers: basic,
          body: new URL(url).searchParams,
        });
        return [browser.headers.get('location') ?? '', pushed.status];
      });
      const [fits, tooLong] = await Promise.all(answers);
      assert.match(String(fits?.[0]), /\/interaction\//);
      assert.equal(fits?.[1], 201);
      assert.match(String(tooLong?.[0]), /error=invalid_request/);
      assert.equal(tooLong?.[1], 400);
    });
  }

  it('The device authorization and sign-out endpoints limit the length of their parameters', async () => {
    const device = await fetch(`${server.issuer}/device_authorization`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'tv', scope: 'openid', acr_values: 'x'.repeat(513) }),
    });
    assert.equal(device.status, 400);
    const state = (length: number) => fetch(`${server.issuer}/logout?state=${'x'.repeat(length)}`);
    assert.deepEqual([(await state(2048)).status, (await state(2049)).status], [200, 413]);
  });

  it('The authorization endpoint refuses a request of a stranger above 12 KB', async () => {
    const request = authorizationRequest(server.issuer, 'demo-notes', { state: 'x'.repeat(12_000) });
    assert.match((await from('192.0.2.9').request(request.url)).headers.get('location') ?? '', /error=invalid_request/);
  });
});
