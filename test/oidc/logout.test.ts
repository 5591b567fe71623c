import assert from 'node:assert/strict';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { Browser, type Page } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import {
  ADMIN,
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  refresh,
  signIn,
  tokenRequest,
  tokensFor,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('Logout', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());
  afterEach(returnToPresent);

  /** Where the app at an offset from the server's port wants people to come back to. */
  const homeOf = (offset: number): string => `http://localhost:${Number(new URL(server.issuer).port) + offset}/`;

  function logout(
    browser: Browser,
    parameters: Record<string, string | undefined>,
    until = 'http://nowhere',
  ): Promise<Page> {
    const url = new URL('/logout', server.issuer);
    for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value);
    return browser.visit(url.href, {}, until);
  }

  async function isSignedIn(browser: Browser): Promise<boolean> {
    const request = authorizationRequest(server.issuer, 'demo-notes', { prompt: 'none' });
    return 'code' in (await answerAtOnce(browser, request));
  }

  it('A logout with an ID token hint returns directly to the app with the state', async () => {
    const browser = new Browser();
    const { id_token } = await tokensFor(server.issuer, { browser });
    const parameters = { id_token_hint: id_token, post_logout_redirect_uri: homeOf(1), state: 'a b&c' };
    const page = await logout(browser, parameters, homeOf(1));
    const back = new URL(page.url);
    assert.equal(back.href.split('?')[0], homeOf(1));
    assert.deepEqual([...back.searchParams], [['state', 'a b&c']]);
    assert.ok(!(await isSignedIn(browser)));
  });

  it('The logout accepts an expired ID token as a hint', async () => {
    const browser = new Browser();
    const { id_token } = await tokensFor(server.issuer, { browser });
    travel(2 * 3600);
    const page = await logout(browser, { id_token_hint: id_token, post_logout_redirect_uri: homeOf(1) }, homeOf(1));
    assert.equal(page.url, homeOf(1));
  });

  it('A logout with only a hint ends on the signed-out page', async () => {
    const browser = new Browser();
    const { id_token } = await tokensFor(server.issuer, { browser });
    const page = await logout(browser, { id_token_hint: id_token });
    assert.equal(page.status, 200);
    assert.match(page.html, /You are signed out/);
    assert.ok(!(await isSignedIn(browser)));
  });

  it('A logout without a hint asks the person, who may stay signed in', async () => {
    const browser = new Browser();
    await tokensFor(server.issuer, { browser });
    const question = await logout(browser, {});
    assert.equal(question.status, 200);
    assert.match(question.html, /Sign out\?/);
    assert.match(question.html, /alice@example\.com/);
    assert.ok(await isSignedIn(browser));
    await browser.submit(question, {});
    assert.ok(await isSignedIn(browser));
    const end = await browser.submit(await logout(browser, {}), { logout: 'yes' });
    assert.match(end.html, /You are signed out/);
    assert.ok(!(await isSignedIn(browser)));
  });

  it('The session and all tokens survive a logout request if the person chooses to stay', async () => {
    const browser = new Browser();
    const { access_token: access = '', refresh_token: token } = await tokensFor(server.issuer, { browser });
    for (const parameters of [{}, { client_id: 'demo-notes', post_logout_redirect_uri: homeOf(1) }]) {
      const question = await logout(browser, parameters, homeOf(1));
      for (let clicks = 0; clicks < 2; clicks += 1) {
        const stayed = await browser.submit(question, {}, homeOf(1));
        assert.deepEqual([stayed.status, new URL(stayed.url).origin], [200, server.issuer]);
        assert.match(stayed.html, /You are still signed in/);
      }
    }
    assert.ok(await isSignedIn(browser));
    const userinfo = await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${access}` } });
    assert.deepEqual([userinfo.status, (await refresh(server.issuer, token)).status], [200, 200]);
  });

  it('The logout preserves the query of the post-logout redirect URI byte for byte', async () => {
    const uris = ['?next=a%20b+c&empty=&flag&q=%7E~', "?quoted='x'&state=mine", '?', '?a=1&'].map(
      (query) => homeOf(1) + query,
    );
    await using withQueries = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.map((one) =>
          one.client_id === 'demo-notes' ? { ...one, post_logout_redirect_uris: uris } : one,
        ),
      }),
    });
    for (const uri of uris) {
      for (const [state, added] of [
        [undefined, ''],
        ['a b&c', 'state=a+b%26c'],
      ] as const) {
        const browser = new Browser();
        const { id_token } = await tokensFor(withQueries.issuer, { browser });
        const url = new URL('/logout', withQueries.issuer);
        const all = { id_token_hint: id_token, post_logout_redirect_uri: uri, ...(state !== undefined && { state }) };
        for (const [name, value] of Object.entries(all)) url.searchParams.set(name, value ?? '');
        const { status, headers } = await browser.request(url.href);
        const glue = added === '' || /[?&]$/.test(uri) ? '' : '&';
        assert.deepEqual([status, headers.get('location')], [303, `${uri}${glue}${added}`]);
      }
    }
  });

  it('The logout ignores a hint whose client no longer exists, and asks the person', async () => {
    const browser = new Browser();
    const { id_token = '' } = await tokensFor(server.issuer, { browser });
    const [header, , signature] = id_token.split('.');
    const payload = Buffer.from(JSON.stringify({ ...decodeJwt(id_token), aud: 'deleted' })).toString('base64url');
    const hint = [header, payload, signature].join('.');
    for (const more of [{}, { client_id: 'deleted' }]) {
      const parameters = { id_token_hint: hint, post_logout_redirect_uri: 'https://evil.example/', ...more };
      const question = await logout(browser, parameters, 'https://evil.example/');
      assert.match(question.html, /Sign out\?/);
      assert.ok(await isSignedIn(browser));
    }
    const question = await logout(browser, { id_token_hint: hint, post_logout_redirect_uri: 'https://evil.example/' });
    const end = await browser.submit(question, { logout: 'yes' }, 'https://evil.example/');
    assert.match(end.html, /You are signed out/);
  });

  it('The logout refuses a hint for an unknown client that is not an ID token of this server', async () => {
    const browser = new Browser();
    const { id_token = '' } = await tokensFor(server.issuer, { browser });
    const part = (members: object): string => Buffer.from(JSON.stringify(members)).toString('base64url');
    const [header, claims] = [decodeProtectedHeader(id_token), { ...decodeJwt(id_token), aud: 'deleted' }];
    for (const [moreHeader, moreClaims] of [
      [{}, { iss: 'https://elsewhere.example' }],
      [{ typ: 'logout+jwt' }, {}],
      [{}, { client_id: 'deleted' }],
    ]) {
      const parts = [part({ ...header, ...moreHeader }), part({ ...claims, ...moreClaims })];
      const page = await logout(browser, { id_token_hint: [...parts, id_token.split('.')[2]].join('.') });
      assert.ok(page.status >= 400 && page.status < 500, String(page.status));
      assert.doesNotMatch(page.html, /Sign out\?/);
    }
    assert.ok(await isSignedIn(browser));
  });

  it('The logout endpoint accepts POST like GET, with an empty body and with a long one', async () => {
    const browser = new Browser();
    const { id_token = '' } = await tokensFor(server.issuer, { browser });
    const action = `${server.issuer}/logout`;
    const post = (url: string, init: RequestInit = {}) => browser.visit(url, { method: 'POST', ...init }, homeOf(1));
    assert.match((await post(action)).html, /Sign out\?/);
    const parameters = new URLSearchParams({ id_token_hint: id_token, post_logout_redirect_uri: homeOf(1) });
    for (let count = 0; count < 20; count += 1) parameters.set(`of_no_meaning_${String(count)}`, 'x'.repeat(500));
    assert.equal((await post(action, { body: parameters })).url, homeOf(1));
  });

  it('A logout with only a client_id asks the person and then returns to the app', async () => {
    const browser = new Browser();
    await tokensFor(server.issuer, { browser });
    const parameters = { client_id: 'demo-notes', post_logout_redirect_uri: homeOf(1), state: 's' };
    const question = await logout(browser, parameters, homeOf(1));
    assert.match(question.html, /Sign out\?/);
    const back = await browser.submit(question, { logout: 'yes' }, homeOf(1));
    assert.equal(back.url, `${homeOf(1)}?state=s`);
  });

  it('The logout asks the person if the hint names another account or another session', async () => {
    const elsewhere = await tokensFor(server.issuer);
    const ofAdmin = await tokensFor(server.issuer, { person: ADMIN });
    for (const { id_token } of [elsewhere, ofAdmin]) {
      const browser = new Browser();
      await tokensFor(server.issuer, { browser });
      const page = await logout(browser, { id_token_hint: id_token, post_logout_redirect_uri: homeOf(1) }, homeOf(1));
      assert.match(page.html, /Sign out\?/);
      assert.ok(await isSignedIn(browser));
    }
  });

  it('The server refuses a post-logout redirect URI that the client has not registered', async () => {
    const browser = new Browser();
    const { id_token } = await tokensFor(server.issuer, { browser });
    for (const uri of ['https://evil.example/', homeOf(2), `${homeOf(1)}more`, homeOf(1).slice(0, -1)]) {
      for (const who of [{ id_token_hint: id_token }, { client_id: 'demo-notes' }]) {
        const page = await logout(browser, { ...who, post_logout_redirect_uri: uri }, uri);
        assert.equal(page.status, 400, uri);
        assert.ok(await isSignedIn(browser));
      }
    }
  });

  it('A logout without a client ignores the redirect URI', async () => {
    const browser = new Browser();
    await tokensFor(server.issuer, { browser });
    const question = await logout(
      browser,
      { post_logout_redirect_uri: 'https://evil.example/' },
      'https://evil.example/',
    );
    const end = await browser.submit(question, { logout: 'yes' }, 'https://evil.example/');
    assert.match(end.html, /You are signed out/);
  });

  it('The logout refuses a forged hint and one that contradicts the client_id', async () => {
    const browser = new Browser();
    const { id_token = '' } = await tokensFor(server.issuer, { browser });
    const forged = `${id_token.slice(0, id_token.lastIndexOf('.'))}.${'A'.repeat(86)}`;
    for (const parameters of [{ id_token_hint: id_token, client_id: 'demo-photos' }, { id_token_hint: forged }]) {
      assert.equal((await logout(browser, parameters)).status, 400);
      assert.ok(await isSignedIn(browser));
    }
  });

  it('The logout refuses a confirmation form from another site', async () => {
    const browser = new Browser();
    await tokensFor(server.issuer, { browser });
    await logout(browser, {});
    for (const xsrf of ['', 'guessed']) {
      const body = new URLSearchParams({ xsrf, logout: 'yes' });
      const response = await browser.request(`${server.issuer}/logout/confirm`, { method: 'POST', body });
      assert.equal(response.status, 400);
    }
    assert.ok(await isSignedIn(browser));
  });

  it('A logout without a session still returns to the app', async () => {
    const { id_token } = await tokensFor(server.issuer);
    const browser = new Browser();
    const page = await logout(browser, { id_token_hint: id_token, post_logout_redirect_uri: homeOf(1) }, homeOf(1));
    const back = page.url === homeOf(1) ? page : await browser.submit(page, {}, homeOf(1));
    assert.equal(back.url, homeOf(1));
  });

  it('The logout revokes the tokens of every app and the code that is not exchanged yet', async () => {
    const browser = new Browser();
    const notes = await tokensFor(server.issuer, { browser });
    const photos = await tokensFor(server.issuer, { browser, clientId: 'demo-photos' });
    const request = authorizationRequest(server.issuer, 'demo-photos');
    const callback = await signIn(browser, request);
    await logout(browser, { id_token_hint: notes['id_token'] });

    const refusals = [
      await refresh(server.issuer, notes['refresh_token']),
      await refresh(server.issuer, photos['refresh_token'], { client_id: 'demo-photos' }),
      await exchangeCode(server.issuer, request, callback),
    ];
    for (const { status, body } of refusals) assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
    for (const { access_token } of [notes, photos]) {
      const headers = { authorization: `Bearer ${String(access_token)}` };
      assert.equal((await fetch(`${server.issuer}/userinfo`, { headers })).status, 401);
    }
  });

  it('The logout in one browser keeps the sessions in other browsers', async () => {
    const [here, there] = [new Browser(), new Browser()];
    const { id_token } = await tokensFor(server.issuer, { browser: here });
    const other = await tokensFor(server.issuer, { browser: there });
    await logout(here, { id_token_hint: id_token });
    assert.ok(await isSignedIn(there));
    assert.equal((await refresh(server.issuer, other['refresh_token'])).status, 200);
  });

  it('The logout keeps the offline access that the person granted', async () => {
    const browser = new Browser();
    const parameters = { scope: 'openid offline_access', prompt: 'consent' };
    const { id_token, refresh_token = '' } = await tokensFor(server.issuer, {
      browser,
      clientId: 'demo-web',
      parameters,
    });
    await logout(browser, { id_token_hint: id_token });
    assert.ok(!(await isSignedIn(browser)));
    const body = { grant_type: 'refresh_token', refresh_token };
    assert.equal((await tokenRequest(server.issuer, body, 'demo-web:demo-web-secret')).status, 200);
  });
});
