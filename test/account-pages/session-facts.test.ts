import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { sessionsOfAccount } from '../../src/sessions/session-records.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { accountsOn } from '../support/domain.ts';
import { ADMIN, ALICE, authorizationRequest, signIn } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { wordsOf } from './people.ts';

type Place = Config['sessions']['place'];

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0';
const ADDRESS = '2001:db8:85a3:8d3:1319:8a2e:370:7348';

describe('Session details on the sessions page', () => {
  let servers: TestServer[] = [];
  afterEach(async () => {
    returnToPresent();
    for (const server of servers.toReversed()) await server.close();
    servers = [];
  });

  /** A server, or another node of one. */
  async function start(place?: Place, node?: { sameAs: TestServer; port: number }): Promise<TestServer> {
    const server = await startTestServer({
      ...node,
      change: (config) => ({
        ...config,
        listen: { ...config.listen, trusted_proxies: ['127.0.0.1', '::1'] },
        sessions: { ...config.sessions, ...(place && { place }) },
      }),
    });
    servers.push(server);
    return server;
  }

  async function signedIn(
    { issuer }: TestServer,
    address = ADDRESS,
    agent = FIREFOX,
    person = ALICE,
  ): Promise<Browser> {
    const host = new URL(issuer).host;
    const forwarded = { 'x-forwarded-for': address, 'x-forwarded-proto': 'http', 'x-forwarded-host': host };
    const browser = new Browser({ 'user-agent': agent, ...forwarded });
    await signIn(browser, authorizationRequest(issuer), person);
    return browser;
  }

  const shownTo = async (browser: Browser, { issuer }: TestServer): Promise<string> =>
    wordsOf(await browser.visit(`${issuer}/sessions`));

  async function stored({ config, directory }: TestServer): Promise<string> {
    const store = await openStore(config.stores.grants, systemClock);
    try {
      const { keys } = await store.members(sessionsOfAccount(await accountOf(store, directory)), { limit: 10 });
      const records = await Promise.all(keys.map((key) => store.get(key)));
      return JSON.stringify(records.map((record) => record?.value));
    } finally {
      await store.close();
    }
  }

  async function accountOf(store: Store, directory: string, { email } = ALICE): Promise<string> {
    const accounts = accountsOn(store, directory);
    return (await accounts.findByEmail(email))?.id ?? assert.fail(`${email} has no account`);
  }

  it('The sessions page shows the sign-in time in words and in a machine-readable form, equal to the minute', async () => {
    const own = await start();
    const before = Date.now();
    const browser = await signedIn(own);
    travel(7200);
    const { html } = await browser.visit(`${own.issuer}/sessions`);
    const [, machine = '', words = ''] = /<time datetime="([^"]+)">([^<]+)<\/time>, 2 hours ago/.exec(html) ?? [];
    assert.match(machine, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(Math.abs(Date.parse(machine) - before) < 60_000, machine);
    assert.match(words, /^\d{1,2} [A-Z][a-z]+ \d{4} at \d\d:\d\d UTC$/);
    assert.equal(Date.parse(words.replace(' at', '')), Math.floor(Date.parse(machine) / 60_000) * 60_000);
  });

  it('The sessions page names the browser of each session, or says "A browser" if it is unknown', async () => {
    const own = await start();
    const browser = await signedIn(own);
    await signedIn(own, ADDRESS, 'TV');
    assert.match(await shownTo(browser, own), /Firefox on Linux This browser .* A browser Signed in/);
  });

  const PLACES: readonly [Place | undefined, shown: RegExp, stored: RegExp][] = [
    [undefined, /From 2001:db8:85a3:8d3::\/64 /, /"place":"2001:db8:85a3:8d3::\/64"/],
    ['block', /From 2001:db8:85a3:8d3::\/64 /, /"place":"2001:db8:85a3:8d3::\/64"/],
    ['address', /From 2001:db8:85a3:8d3:1319:8a2e:370:7348 /, /"place":"2001:db8:85a3:8d3:1319:8a2e:370:7348"/],
    ['none', /^(?!.* From )/, /^(?!.*(?:place|2001:db8))/],
  ];
  for (const [place, shown, kept] of PLACES) {
    it(`The sessions page shows the client address as the operator allows: ${place ?? 'left out'}`, async () => {
      const own = await start(place);
      const browser = await signedIn(own);
      assert.match(await shownTo(browser, own), shown);
      assert.match(await stored(own), kept);
    });
  }

  it('The sessions page never shows a finer client address than the operator allows now', async () => {
    const first = await start('address');
    const browser = await signedIn(first);
    for (const [place, shown] of PLACES) {
      const port = await freePort();
      await start(place, { sameAs: first, port });
      // A page of the person's own does not renew what is kept.
      const { html } = await browser.visit(`http://localhost:${port}/sessions`);
      assert.match(wordsOf({ html }), shown, place);
    }
  });

  it('The sessions page shows a session of an earlier version without an address', async () => {
    const own = await start();
    const browser = await signedIn(own);
    const store = await openStore(own.config.stores.grants, systemClock);
    const index = sessionsOfAccount(await accountOf(store, own.directory));
    const { keys } = await store.members(index, { limit: 10 });
    for (const key of keys) {
      const { value, version } = (await store.get(key)) ?? assert.fail();
      const { place: _place, browser: _browser, usedAt: _usedAt, ...old } = value;
      assert.ok(await store.replace(key, old, version, { indexes: [index] }));
    }
    await store.close();
    assert.match(await shownTo(browser, own), /A browser This browser Signed in .* UTC, a moment ago Apps Notes/);
  });

  it('The sessions page hides a session of another account, even if the index of this account lists it', async () => {
    const own = await start();
    await signedIn(own);
    const admin = await signedIn(own, ADDRESS, 'TV', ADMIN);
    const store = await openStore(own.config.stores.grants, systemClock);
    // A crash can leave a session in the index of the account that it had before.
    const { keys } = await store.members(sessionsOfAccount(await accountOf(store, own.directory)), { limit: 10 });
    assert.equal(keys.length, 1);
    for (const key of keys)
      await store.enlist(sessionsOfAccount(await accountOf(store, own.directory, ADMIN)), key, 3600);
    await store.close();
    const shown = await shownTo(admin, own);
    assert.match(shown, /A browser This browser/);
    assert.doesNotMatch(shown, /Firefox on Linux/);
  });
});
