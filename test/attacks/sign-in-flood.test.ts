import assert from 'node:assert/strict';
import { Browser, type Page } from '../support/browser.ts';
import { ALICE, authorizationRequest, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

const UNDER_WAY = 120;
const HOST = '127.0.0.1';

describe('A flood of sign-ins with the right password', function () {
  // Each attempt costs a real hash.
  this.timeout(240_000);
  let server: TestServer;
  before(async () => {
    server = await startTestServer({
      hashesSlowly: true,
      change: (config) => ({ ...config, listen: { ...config.listen, trusted_proxies: [HOST, '::1'] } }),
    });
  });
  after(() => server.close());

  const browserAt = (address: string) => new Browser({ 'x-forwarded-for': address });
  const request = () => authorizationRequest(server.issuer);

  async function attempt(browser: Browser, person: { email: string; password: string }): Promise<Page> {
    const { url, redirectUri } = request();
    browser.cookies.delete('session');
    browser.cookies.delete('latchkey_session');
    const page = await browser.visit(url, {}, redirectUri);
    return page.html.includes('type="password"') ? browser.submit(page, { ...person }, redirectUri) : page;
  }

  /** Keeps so many attempts under way until the work is done. @returns how many were answered with each status */
  async function during(flood: (turn: number) => Promise<Page>, work: () => Promise<void>) {
    const counts: Record<number, number> = {};
    let isOver = false;
    const floods = Array.from({ length: UNDER_WAY }, async (_, turn) => {
      while (!isOver) {
        const { status } = await flood(turn);
        counts[status] = (counts[status] ?? 0) + 1;
      }
    });
    try {
      // As many as are under way have met the limits.
      await until(() => Object.values(counts).reduce((sum, count) => sum + count, 0) >= UNDER_WAY, 120_000);
      await work();
    } finally {
      isOver = true;
      await Promise.allSettled(floods);
    }
    return counts;
  }

  async function signUp(email: string, address: string): Promise<Browser> {
    const browser = browserAt(address);
    const { url, redirectUri } = request();
    const page = await browser.visit(url, {}, redirectUri);
    const link = /href="([^"]*sign-up)"/.exec(page.html)?.[1] ?? assert.fail('there is no sign-up');
    const form = await browser.visit(new URL(link, page.url).href);
    const end = await browser.submit(form, { name: 'Mallory', email, password: MALLORY }, redirectUri);
    assert.ok(end.url.startsWith(redirectUri), end.html);
    return browser;
  }

  const MALLORY = 'plum cassette harbour';

  it('A flood of sign-ins from known devices at one address does not stop the owner of another account', async () => {
    const mallory = { email: 'mallory@example.com', password: MALLORY };
    const device =
      (await signUp(mallory.email, '198.51.100.7')).cookies.get('latchkey_device') ?? assert.fail('no device cookie');
    const home = browserAt('192.0.2.1');
    await signIn(home, request());
    const counts = await during(
      () => {
        const browser = browserAt('198.51.100.7');
        browser.cookies.set('latchkey_device', device);
        return attempt(browser, mallory);
      },
      async () => {
        for (let turn = 0; turn < 2; turn += 1) {
          assert.equal((await attempt(home, ALICE)).html, '');
          assert.equal((await attempt(browserAt(`192.0.2.${turn + 10}`), ALICE)).html, '');
        }
      },
    );
    assert.ok((counts[503] ?? 0) + (counts[429] ?? 0) > UNDER_WAY, JSON.stringify(counts));
  });

  it('A flood of sign-ins on many accounts from one address stops neither other addresses nor a known device there', async () => {
    const home = browserAt('198.51.100.9');
    await signIn(home, request());
    const counts = await during(
      (turn) => attempt(browserAt('198.51.100.9'), { email: `person-${turn}@example.com`, password: MALLORY }),
      async () => {
        for (let turn = 0; turn < 2; turn += 1) {
          assert.equal((await attempt(home, ALICE)).html, '');
          assert.equal((await attempt(browserAt(`192.0.2.${turn + 20}`), ALICE)).html, '');
        }
      },
    );
    assert.ok((counts[503] ?? 0) + (counts[429] ?? 0) > UNDER_WAY, JSON.stringify(counts));
  });
});

describe('Device cookies that were stolen before a password change', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ hashesSlowly: true });
  });
  after(() => server.close());

  it('Stolen device cookies allow no extra guesses, and the browser that changed the password stays known', async () => {
    const home = new Browser();
    await signIn(home, authorizationRequest(server.issuer));
    const stolen = [];
    for (let turn = 0; turn < 12; turn += 1) {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(server.issuer));
      stolen.push(browser.cookies.get('latchkey_device') ?? assert.fail('no device cookie'));
    }
    const page = await home.visit(`${server.issuer}/password`);
    const next = 'plum cassette harbour';
    const changed = await home.submit(page, { current: ALICE.password, next, again: next });
    assert.equal(changed.status, 200, changed.html);

    const counts: Record<number, number> = {};
    for (const device of stolen)
      for (let turn = 0; turn < 5; turn += 1) {
        const browser = new Browser();
        browser.cookies.set('latchkey_device', device);
        const form = await browser.visit(authorizationRequest(server.issuer).url);
        const { status } = await browser.submit(form, { ...ALICE, password: `guess ${turn}` });
        counts[status] = (counts[status] ?? 0) + 1;
      }
    // Five are free at one place; more on a slow machine, since pauses end.
    assert.ok((counts[401] ?? 0) <= 12, JSON.stringify(counts));
    const mine = new Browser();
    mine.cookies.set('latchkey_device', home.cookies.get('latchkey_device') ?? assert.fail('no device cookie'));
    await signIn(mine, authorizationRequest(server.issuer), { ...ALICE, password: next });
  });
});
