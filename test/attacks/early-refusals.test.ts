import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { Browser, type Page } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { CountingNode } from '../support/counting-node.ts';
import { ADMIN, ALICE, answerAtOnce, authorizationRequest, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const HERE = '198.51.100.1';
const ELSEWHERE = '192.0.2.1';

/** Small budgets, and a proxy in front that says where a request comes from. */
function change(config: Config): Config {
  return {
    ...config,
    listen: { ...config.listen, trusted_proxies: ['127.0.0.1', '::1'] },
    pending_requests: { ...config.pending_requests, kib_per_address: 64 },
  };
}

const at = (address: string): Browser => new Browser({ 'x-forwarded-for': address });

/** A browser in which somebody has signed in. */
async function signedIn(server: TestServer, address: string, person = ALICE): Promise<Browser> {
  const browser = at(address);
  await signIn(browser, authorizationRequest(server.issuer), person);
  return browser;
}

function forget(browser: Browser, what: 'session' | 'device'): Browser {
  for (const name of browser.cookies.keys()) if (name.includes(what)) browser.cookies.delete(name);
  return browser;
}

/** @returns what the store was asked about sign-ins meanwhile */
async function storeAsked(counting: CountingNode, work: () => Promise<unknown>): Promise<string[]> {
  const turns = await counting.count(work);
  return turns.flat().filter((asked) => /attempt|interaction|spent|session|password|account/.test(asked));
}

describe('An address block with too many pending sign-ins', () => {
  const counting = new CountingNode();
  let server: TestServer;
  let known: Browser;
  let inSession: Browser;

  before(async () => {
    server = await startTestServer({ change, openStores: counting.openStores });
    known = forget(await signedIn(server, HERE), 'session');
    inSession = forget(await signedIn(server, HERE), 'device');
    for (let turn = 0; turn < 200; turn += 1) if ((await authorize(at(HERE))).status === 429) return;
    assert.fail('no request is refused');
  });
  after(() => server.close());

  const authorize = (browser: Browser, parameters = {}, headers = {}) =>
    browser.request(authorizationRequest(server.issuer, 'demo-notes', parameters).url, { headers });

  it('An address block with too many sign-ins gets 429 and Retry-After without a question to the store', async () => {
    await authorize(at(HERE)); // A node remembers for a few seconds.
    const asked = await storeAsked(counting, async () => {
      const page = await authorize(at(HERE));
      assert.deepEqual([page.status, page.headers.get('retry-after')], [429, '300']);
      assert.match(await page.text(), /Too many requests from your network/);
      const json = await authorize(at(HERE), {}, { accept: 'application/json' });
      assert.deepEqual([json.status, json.headers.get('retry-after')], [429, '300']);
      assert.equal(((await json.json()) as { error: string }).error, 'temporarily_unavailable');
    });
    assert.deepEqual(asked, []);
  });

  it('A made-up session cookie does not help a client address whose block has too many sign-ins', async () => {
    await authorize(at(HERE));
    const asked = await storeAsked(counting, async () => {
      const cookie = `latchkey_session=${'x'.repeat(43)}; latchkey_session.sig=${'x'.repeat(27)}`;
      assert.equal((await authorize(at(HERE), {}, { cookie })).status, 429);
    });
    assert.deepEqual(asked, []);
  });

  it('Each page about too many sign-ins shows its own request number, which is also in the X-Request-Id header', async () => {
    const pages = await Promise.all([authorize(at(HERE)), authorize(at(HERE))]);
    const numbers = pages.map((page) => page.headers.get('x-request-id') ?? assert.fail('no number'));
    assert.notEqual(numbers[0], numbers[1]);
    for (const [index, page] of pages.entries()) assert.ok((await page.text()).includes(numbers[index] ?? ''));
  });

  it('The server answers a silent request even if the block of its address has too many sign-ins', async () => {
    const answer = await answerAtOnce(at(HERE), authorizationRequest(server.issuer, 'demo-notes', { prompt: 'none' }));
    assert.equal(answer['error'], 'login_required');
  });

  it('Known devices and signed-in browsers can still sign in while their block has too many sign-ins', async () => {
    assert.ok((await signIn(known, authorizationRequest(server.issuer))).searchParams.has('code'));
    const again = authorizationRequest(server.issuer, 'demo-notes', { prompt: 'login' });
    assert.ok((await signIn(inSession, again)).searchParams.has('code'));
  });

  it('Strangers elsewhere can still sign in after too many sign-ins from one address block', async () => {
    assert.ok((await signIn(at(ELSEWHERE), authorizationRequest(server.issuer))).searchParams.has('code'));
  });

  it('A client’s pushed request is accepted even if the block of the browser has too many sign-ins', async () => {
    const request = authorizationRequest(server.issuer, 'demo-web', { prompt: 'none' });
    const pushed = await fetch(`${server.issuer}/par`, {
      method: 'POST',
      headers: {
        'x-forwarded-for': HERE,
        authorization: `Basic ${Buffer.from('demo-web:demo-web-secret').toString('base64')}`,
      },
      body: new URL(request.url).searchParams,
    });
    assert.equal(pushed.status, 201);
    const { request_uri: uri } = (await pushed.json()) as { request_uri: string };
    const query = new URLSearchParams({ client_id: 'demo-web', request_uri: uri });
    const answer = await at(HERE).request(`${server.issuer}/authorize?${query.toString()}`);
    assert.match(answer.headers.get('location') ?? '', /error=login_required/);
  });
});

describe('An address block with too many wrong passwords', () => {
  const counting = new CountingNode();
  let server: TestServer;
  let known: Browser;
  let form: Page;

  before(async () => {
    server = await startTestServer({ change, openStores: counting.openStores });
    known = forget(await signedIn(server, HERE), 'session');
    form = await stranger.visit(authorizationRequest(server.issuer).url);
    let turn = 0;
    for (let wait = 0; wait < 30; turn += 1) {
      assert.ok(turn < 300, 'no guess is refused');
      const { headers } = (await guess(stranger, { email: `person-${turn}@example.com` })).response;
      wait = Number(headers.get('retry-after') ?? 0);
      if (wait < 30) travel(wait);
    }
  });
  after(async () => {
    returnToPresent();
    await server.close();
  });

  const stranger = at(HERE);
  const guess = (browser: Browser, fields: { email: string }, page = form) =>
    browser.submit(page, { password: 'a wrong guess', ...fields });

  it('After too many wrong passwords, the server refuses others with 429 and Retry-After without asking the store', async () => {
    const asked = await storeAsked(counting, async () => {
      const page = await guess(stranger, ADMIN);
      assert.equal(page.status, 429);
      assert.match(page.html, /Too many attempts from your network/);
      assert.ok(Number(page.response.headers.get('retry-after')) > 0);
      const json = await stranger.request(`${form.url}/sign-in`, {
        method: 'POST',
        headers: { accept: 'application/json' },
        body: new URLSearchParams({ ...ADMIN }),
      });
      assert.equal(json.status, 429);
      assert.equal(((await json.json()) as { error: string }).error, 'temporarily_unavailable');
    });
    assert.deepEqual(asked, []);
  });

  it('A known device can still sign in at an address with too many wrong passwords', async () => {
    assert.ok((await signIn(known, authorizationRequest(server.issuer))).searchParams.has('code'));
  });

  it('Strangers elsewhere can still sign in after too many wrong passwords from one address', async () => {
    assert.ok((await signIn(at(ELSEWHERE), authorizationRequest(server.issuer))).searchParams.has('code'));
  });

  it('A stranger can sign in again once the pause after too many wrong passwords is over', async () => {
    travel(61);
    assert.ok((await signIn(at(HERE), authorizationRequest(server.issuer))).searchParams.has('code'));
  });
});
