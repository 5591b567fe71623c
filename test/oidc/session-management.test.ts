import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { decodeJwt } from 'jose';
import type { Browser as Chromium, Page } from 'playwright-core';
import type { Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { launchChromium } from '../support/chromium.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import {
  ADMIN,
  ALICE,
  answerAtOnce,
  authorizationRequest,
  signIn,
  tokensFor,
  type AuthorizationRequest,
  type Person,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const OWN_SCHEME = 'com.example.notes:/callback';

const turnOn = (config: Config): Config => ({
  ...config,
  sessions: { ...config.sessions, session_management: true },
  clients: config.clients.flatMap((client) =>
    client.client_id === 'demo-notes'
      ? [client, { ...client, client_id: 'phone', redirect_uris: [OWN_SCHEME] }]
      : client,
  ),
});

describe('Session management', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: turnOn });
  });
  after(() => server.close());

  const metadata = async ({ issuer }: TestServer): Promise<Record<string, unknown>> =>
    (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as Record<string, unknown>;

  async function signedIn(person: Person = ALICE, browser = new Browser(), parameters = {}): Promise<Browser> {
    await signIn(browser, authorizationRequest(server.issuer, 'demo-notes', parameters), person);
    return browser;
  }

  const silently = (browser: Browser, clientId = 'demo-notes', parameters: Record<string, string> = {}) =>
    answerAtOnce(browser, authorizationRequest(server.issuer, clientId, { prompt: 'none', ...parameters }));

  const stateOf = (browser: Browser): string | undefined => browser.cookies.get('latchkey_opbs')?.value;

  const apiOf = ({ issuer }: TestServer): string => `http://localhost:${Number(new URL(issuer).port) + 3}`;

  async function signOut(browser: Browser): Promise<void> {
    await browser.submit(await browser.visit(`${server.issuer}/logout`), { logout: 'yes' });
  }

  /** As the frame reckons it (OpenID Connect Session Management 1.0 §2). */
  function expected(clientId: string, browser: Browser, salt: string | undefined): string {
    const { origin } = new URL(authorizationRequest(server.issuer, clientId).redirectUri);
    const text = `${clientId} ${origin} ${stateOf(browser) ?? ''} ${salt ?? ''}`;
    return `${createHash('sha256').update(text).digest('base64url')}.${salt ?? ''}`;
  }

  it('Each authorization response has its own session_state for the client, its origin and the session', async () => {
    const browser = await signedIn();
    const states = new Set<string>();
    for (const clientId of ['demo-notes', 'demo-notes', 'demo-photos']) {
      const { session_state: state = '' } = await silently(browser, clientId);
      assert.equal(state, expected(clientId, browser, state.split('.')[1]));
      states.add(state);
    }
    assert.equal(states.size, 3);
  });

  it('A signed authorization response contains the session_state', async () => {
    const browser = await signedIn();
    const { response = '' } = await silently(browser, 'demo-notes', { response_mode: 'query.jwt' });
    const state = String(decodeJwt(response)['session_state']);
    assert.equal(state, expected('demo-notes', browser, state.split('.')[1]));
  });

  it('An authorization response without openid, without an origin or with an error has no session_state', async () => {
    const browser = await signedIn();
    const requests = [
      authorizationRequest(server.issuer, 'demo-notes', { scope: 'notes:read', resource: apiOf(server), nonce: '' }),
      authorizationRequest(server.issuer, 'phone', { redirect_uri: OWN_SCHEME }),
    ];
    for (const request of requests) {
      const answer = (await signIn(browser, request)).searchParams;
      assert.deepEqual([answer.has('code'), answer.has('session_state')], [true, false], answer.toString());
    }
    const refused = await silently(new Browser());
    assert.deepEqual([refused['error'], refused['session_state']], ['login_required', undefined]);
  });

  it('The browser state lasts as long as the session', async () => {
    const browser = await signedIn();
    const first = stateOf(browser);
    await silently(browser, 'demo-photos');
    await signedIn(ALICE, browser, { prompt: 'login' });
    assert.match(first ?? '', /^[\w-]{43}$/);
    assert.equal(stateOf(browser), first);
    await signOut(browser);
    assert.equal(stateOf(browser), undefined);
    await signedIn(ALICE, browser);
    assert.notEqual(stateOf(browser), first);
  });

  it('The browser state ends with a sign-out by hint, and stays if the person stays signed in', async () => {
    const browser = new Browser();
    const { id_token: hint = '' } = await tokensFor(server.issuer, { browser });
    const state = stateOf(browser);
    await browser.submit(await browser.visit(`${server.issuer}/logout`), {});
    assert.equal(stateOf(browser), state);
    await browser.visit(`${server.issuer}/logout?id_token_hint=${hint}`);
    assert.equal(stateOf(browser), undefined);
  });

  it('The browser state changes when another person signs in', async () => {
    const browser = await signedIn();
    const first = stateOf(browser);
    await signedIn(ADMIN, browser, { prompt: 'login' });
    assert.match(stateOf(browser) ?? '', /^[\w-]{43}$/);
    assert.notEqual(stateOf(browser), first);
  });

  it('The browser state of an expired session disappears at the next request of an app', async () => {
    const browser = await signedIn();
    try {
      travel(server.config.sessions.default + 60);
      assert.equal((await silently(browser))['error'], 'login_required');
      assert.equal(stateOf(browser), undefined);
    } finally {
      returnToPresent();
    }
  });

  it('The browser state of a remembered session expires with the session', async () => {
    const browser = await signedIn({ ...ALICE, remember: 'yes' });
    const response = await browser.request(authorizationRequest(server.issuer).url);
    const ends = response.headers
      .getSetCookie()
      .flatMap((line) => /^latchkey_(?:opbs|session)=.*expires=([^;]*)/.exec(line)?.[1]);
    const [first, second] = ends.filter((end) => end !== undefined);
    assert.match(first ?? '', /GMT$/);
    assert.equal(second, first);
  });

  it('The browser state cookie is readable by scripts and authenticates nobody', async () => {
    const browser = await signedIn();
    const response = await browser.request(authorizationRequest(server.issuer).url);
    const line = response.headers.getSetCookie().find((each) => each.startsWith('latchkey_opbs='));
    assert.equal(line, `latchkey_opbs=${stateOf(browser) ?? ''}; path=/; samesite=lax`);
    const thief = new Browser();
    for (const name of ['latchkey_opbs', 'latchkey_session'])
      thief.cookies.set(name, { value: stateOf(browser) ?? '', path: '/' });
    assert.equal((await silently(thief))['error'], 'login_required');
  });

  it('The browser state cookie is available in frames of any site if the issuer uses https', async () => {
    await using behindTls = await startTestServer({
      change: (config) => ({
        ...turnOn(config),
        issuer: 'https://login.example',
        listen: { ...config.listen, trusted_proxies: ['127.0.0.1'] },
      }),
    });
    const local = `http://127.0.0.1:${behindTls.port}`;
    const { search } = new URL(authorizationRequest(local, 'phone', { prompt: 'none', redirect_uri: OWN_SCHEME }).url);
    const headers = { 'x-forwarded-host': 'login.example' };
    const response = await fetch(`${local}/authorize${search}`, { redirect: 'manual', headers });
    const line = response.headers.getSetCookie().find((each) => each.startsWith('__Host-opbs='));
    assert.match(line ?? '', /; path=\/; expires=[^;]*; samesite=none; secure$/);
    assert.match(await (await fetch(`${local}/check-session`, { headers })).text(), /data-cookie="__Host-opbs"/);
  });

  it('Any app may frame the check_session_iframe, which contains only its own script', async () => {
    const { check_session_iframe: address } = await metadata(server);
    assert.equal(address, `${server.issuer}/check-session`);
    const response = await fetch(`${server.issuer}/check-session`);
    const [, script = ''] = /<script[^>]*>(.*)<\/script>/s.exec(await response.text()) ?? [];
    assert.equal(response.headers.get('x-frame-options'), null);
    assert.deepEqual(response.headers.get('content-security-policy')?.split(';'), [
      "default-src 'none'",
      `script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`,
      "base-uri 'none'",
      "form-action 'none'",
      'frame-ancestors https: http://localhost:* http://127.0.0.1:*',
    ]);
    const other = await fetch(server.issuer);
    assert.equal(other.headers.get('x-frame-options'), 'DENY');
  });

  it('Session management is off by default', async () => {
    await using other = await startTestServer();
    assert.equal((await metadata(other))['check_session_iframe'], undefined);
    assert.equal((await fetch(`${other.issuer}/check-session`)).status, 404);
    const browser = new Browser();
    const callback = await signIn(browser, authorizationRequest(other.issuer));
    assert.equal(callback.searchParams.get('session_state'), null);
    assert.equal(stateOf(browser), undefined);
  });

  describe('In Chromium', () => {
    let chromium: Chromium;
    before(async () => {
      chromium = await launchChromium();
    });
    after(() => chromium.close());

    /** The page of an app that frames the server's, whatever its address. */
    async function startApp(clientId: string): Promise<{ request: AuthorizationRequest; close: () => void }> {
      const request = authorizationRequest(server.issuer, clientId);
      const app = createServer((_request, response) => {
        response.setHeader('Content-Type', 'text/html');
        response.end(`<link rel="icon" href="data:,"><iframe src="${server.issuer}/check-session"></iframe>`);
      });
      await once(app.listen(Number(new URL(request.redirectUri).port), 'localhost'), 'listening');
      return {
        request,
        close: () => {
          app.close();
          app.closeAllConnections();
        },
      };
    }

    let notes: Awaited<ReturnType<typeof startApp>>;
    let photos: Awaited<ReturnType<typeof startApp>>;
    before(async () => {
      notes = await startApp('demo-notes');
      photos = await startApp('demo-photos');
    });
    after(() => {
      notes.close();
      photos.close();
    });

    function ask(from: Page, message: unknown): Promise<unknown> {
      return from.evaluate(`new Promise((resolve) => {
        addEventListener('message', ({ data, origin }) => resolve([data, origin]), { once: true });
        frames[0].postMessage(${JSON.stringify(message)}, '${server.issuer}');
      })`);
    }

    it('The check_session_iframe answers "unchanged" while the person is signed in, and "changed" after the sign-out', async () => {
      const context = await chromium.newContext();
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      const { request } = notes;
      await page.goto(request.url);
      await page.fill('input[type=email]', ALICE.email);
      await page.fill('input[type=password]', ALICE.password);
      await page.keyboard.press('Enter');
      await page.waitForURL(`${request.redirectUri}?*`);
      const state = new URL(page.url()).searchParams.get('session_state') ?? '';
      const question = `${request.clientId} ${state}`;
      assert.deepEqual(await ask(page, question), ['unchanged', server.issuer]);
      assert.deepEqual(await ask(page, `demo-photos ${state}`), ['changed', server.issuer]);
      assert.deepEqual(await ask(page, request.clientId), ['error', server.issuer]);

      const other = await context.newPage();
      await other.goto(photos.request.redirectUri);
      assert.deepEqual(await ask(other, question), ['changed', server.issuer]);

      await other.goto(`${server.issuer}/logout`);
      await other.click('button[value=yes]');
      await other.waitForURL(`${server.issuer}/logout/success`);
      assert.deepEqual(await ask(page, question), ['changed', server.issuer]);
      assert.deepEqual(complaints, []);
      await context.close();
    });
  });
});
