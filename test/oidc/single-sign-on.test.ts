import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { ADMIN, ALICE, answerAtOnce, authorizationRequest, exchangeCode, signIn, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

describe('Single sign-on', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());
  afterEach(returnToPresent);

  async function signedIn(person = ALICE): Promise<Browser> {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer), person);
    return browser;
  }

  const answer = (browser: Browser, parameters: Record<string, string> = {}, clientId = 'demo-notes') =>
    answerAtOnce(browser, authorizationRequest(server.issuer, clientId, parameters));

  /** Whether a request leads to the sign-in page. */
  async function isAsked(browser: Browser, parameters: Record<string, string> = {}): Promise<boolean> {
    const request = authorizationRequest(server.issuer, 'demo-notes', parameters);
    const page = await browser.visit(request.url, {}, request.redirectUri);
    return page.status === 200 && page.html.includes('type="password"');
  }

  it('A session opens a second app without a page in between', async () => {
    const browser = await signedIn();
    assert.match((await answer(browser, {}, 'demo-photos'))['code'] ?? '', /./);
  });

  it('A session does not apply to another browser', async () => {
    await signedIn();
    assert.ok(await isAsked(new Browser()));
  });

  describe('prompt=none', () => {
    it('The server answers login_required without a page if nobody is signed in', async () => {
      const request = authorizationRequest(server.issuer, 'demo-notes', { prompt: 'none' });
      const { error, state, iss, code } = await answerAtOnce(new Browser(), request);
      assert.deepEqual([error, iss, code], ['login_required', server.issuer, undefined]);
      assert.equal(state, new URL(request.url).searchParams.get('state'));
    });

    it('The server answers consent_required if the person has not been asked yet', async () => {
      const { error, code } = await answer(await signedIn(), { prompt: 'none' }, 'demo-web');
      assert.deepEqual([error, code], ['consent_required', undefined]);
    });

    it('The server issues a code to a first-party app if the person is signed in', async () => {
      assert.match((await answer(await signedIn(), { prompt: 'none' }))['code'] ?? '', /./);
    });
  });

  it('prompt=login requires a new sign-in and updates auth_time', async () => {
    const browser = new Browser();
    const first = await tokensFor(server.issuer, { browser });
    travel(10 * MINUTE);
    const second = await tokensFor(server.issuer, { browser, parameters: { prompt: 'login' } });
    const [before, after] = [first, second].map(({ id_token = '' }) => Number(decodeJwt(id_token)['auth_time']));
    assert.ok((after ?? 0) >= (before ?? 0) + 10 * MINUTE);
  });

  it('The server requires a new sign-in after max_age, or answers login_required to prompt=none', async () => {
    const browser = await signedIn();
    travel(5 * MINUTE);
    assert.match((await answer(browser, { max_age: '600' }))['code'] ?? '', /./);
    assert.ok(await isAsked(browser, { max_age: '240' }));
    assert.equal((await answer(browser, { max_age: '240', prompt: 'none' }))['error'], 'login_required');
    const { id_token = '' } = await tokensFor(server.issuer, { browser, parameters: { max_age: '240' } });
    const { iat = 0, auth_time } = decodeJwt(id_token);
    assert.ok(iat - Number(auth_time) <= 240);
  });

  it('The server requires a new sign-in if the hint names another person', async () => {
    const { id_token = '' } = await tokensFor(server.issuer, { person: ADMIN });
    const browser = await signedIn(ALICE);
    assert.equal((await answer(browser, { prompt: 'none', id_token_hint: id_token }))['error'], 'login_required');
    assert.ok(await isAsked(browser, { id_token_hint: id_token }));
    const own = await tokensFor(server.issuer, { browser });
    assert.match(
      (await answer(browser, { prompt: 'none', id_token_hint: String(own['id_token']) }))['code'] ?? '',
      /./,
    );
  });

  it('The server refuses a forged id_token_hint', async () => {
    const { id_token = '' } = await tokensFor(server.issuer);
    const [header, payload] = id_token.split('.');
    const forged = `${String(header)}.${String(payload)}.${'A'.repeat(86)}`;
    assert.equal(
      (await answer(await signedIn(), { prompt: 'none', id_token_hint: forged }))['error'],
      'invalid_request',
    );
  });

  it('A session ends twelve hours after its last use', async () => {
    const browser = await signedIn();
    travel(12 * HOUR - MINUTE);
    assert.match((await answer(browser))['code'] ?? '', /./);
    travel(12 * HOUR - MINUTE);
    assert.match((await answer(browser))['code'] ?? '', /./);
    travel(12 * HOUR + MINUTE);
    assert.ok(await isAsked(browser));
  });

  it('A remembered session lasts thirty days, even after the browser closes', async () => {
    const browser = new Browser();
    const request = authorizationRequest(server.issuer);
    const page = await browser.visit(request.url);
    const cookies = await sessionCookies(browser, () =>
      browser.submit(page, { ...ALICE, remember: 'yes' }, request.redirectUri),
    );
    const [expires = ''] = cookies.map((cookie) => /expires=([^;]+)/i.exec(cookie)?.[1]);
    assert.ok(Math.abs(Date.parse(expires) - Date.now() - 30 * DAY * 1000) < MINUTE * 1000, expires);
    travel(29 * DAY);
    assert.match((await answer(browser))['code'] ?? '', /./);
    travel(30 * DAY + HOUR);
    assert.ok(await isAsked(browser));
  });

  it('The session cookie ends with the browser if the person does not choose to stay signed in', async () => {
    const browser = new Browser();
    const request = authorizationRequest(server.issuer);
    const page = await browser.visit(request.url);
    const cookies = await sessionCookies(browser, () => browser.submit(page, ALICE, request.redirectUri));
    assert.ok(cookies.length > 0);
    for (const cookie of cookies) {
      assert.doesNotMatch(cookie, /expires|max-age/i);
      assert.match(cookie, /httponly/i);
      assert.match(cookie, /samesite=lax/i);
    }
  });

  it('The session belongs to the new person after another person signs in', async () => {
    const browser = new Browser();
    const first = await tokensFor(server.issuer, { browser, person: ALICE });
    const second = await tokensFor(server.issuer, { browser, person: ADMIN, parameters: { prompt: 'login' } });
    const third = await tokensFor(server.issuer, { browser, clientId: 'demo-photos', parameters: { prompt: 'none' } });
    const [alice, admin, inPhotos] = [first, second, third].map(({ id_token = '' }) => decodeJwt(id_token).sub);
    assert.notEqual(alice, admin);
    assert.equal(inPhotos, admin);
  });

  it('The code of a request is for the person who signs in, whatever the login_hint says', async () => {
    const request = authorizationRequest(server.issuer, 'demo-notes', { login_hint: ALICE.email });
    const { body } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request, ADMIN));
    assert.equal(decodeJwt(String(body['id_token']))['email'], ADMIN.email);
  });

  /** The session cookies that are set while something is done. */
  async function sessionCookies(browser: Browser, work: () => Promise<unknown>): Promise<string[]> {
    const lines: string[] = [];
    const request = browser.request.bind(browser);
    browser.request = async (...asked) => {
      const response = await request(...asked);
      lines.push(...response.headers.getSetCookie().filter((line) => line.startsWith('latchkey_session')));
      return response;
    };
    await work();
    return lines;
  }
});
