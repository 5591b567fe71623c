import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { Browser, type Page } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import {
  ADMIN,
  ALICE,
  authorizationRequest,
  exchangeCode,
  signIn,
  type AuthorizationRequest,
} from '../support/flows.ts';
import { withoutOwnScript } from '../support/own-script.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('Signing in', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());
  afterEach(returnToPresent);

  async function open(parameters: Record<string, string> = {}, browser = new Browser()) {
    const request = authorizationRequest(server.issuer, 'demo-notes', parameters);
    return { browser, request, page: await browser.visit(request.url, {}, request.redirectUri) };
  }

  const emailIn = (page: Page): string | undefined => {
    const [field = ''] = /<input[^>]*name="email"[^>]*>/.exec(page.html) ?? [];
    return /value="([^"]*)"/.exec(field)?.[1];
  };

  async function personOf(request: AuthorizationRequest, page: Page): Promise<unknown> {
    const { body } = await exchangeCode(server.issuer, request, new URL(page.url));
    return decodeJwt(String(body['id_token']))['email'];
  }

  it('The sign-in page names the app, and forbids caching, framing and scripts other than its own', async () => {
    const { page } = await open();
    assert.equal(page.status, 200);
    assert.match(page.html, /to continue to <bdi>Notes<\/bdi>/);
    assert.equal(page.response.headers.get('cache-control'), 'no-store');
    const policy = page.response.headers.get('content-security-policy') ?? '';
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]) {
      assert.ok(policy.includes(part), part);
    }
    assert.doesNotMatch(withoutOwnScript(page.html), /<script/i);
  });

  it('The sign-in form contains the login_hint of the app as escaped text', async () => {
    const { page } = await open({ login_hint: '"><script>alert(1)</script>@example.com' });
    assert.doesNotMatch(withoutOwnScript(page.html), /<script/);
    assert.equal(emailIn((await open({ login_hint: ALICE.email })).page), ALICE.email);
  });

  it('The sign-in form contains the email address of the person who must sign in again', async () => {
    const { browser, request } = await open();
    await signIn(browser, request);
    assert.equal(emailIn((await open({ prompt: 'login' }, browser)).page), ALICE.email);
  });

  it('The sign-in error does not tell a wrong email address from a wrong password, and the form keeps the address', async () => {
    const texts: string[] = [];
    for (const person of [
      { ...ALICE, password: 'not-the-password' },
      { email: 'nobody@example.com', password: ALICE.password },
    ]) {
      const { browser, page, request } = await open();
      const again = await browser.submit(page, person, request.redirectUri);
      assert.equal(again.status, 401);
      assert.equal(emailIn(again), person.email);
      assert.ok(!again.html.includes(person.password));
      texts.push(/role="alert"[^>]*>(.*?)<\/div>/s.exec(again.html)?.[1] ?? again.html);
    }
    assert.match(texts[0] ?? '', /Wrong email or password/);
    assert.equal(texts[0], texts[1]);
  });

  it('The sign-in succeeds after a wrong password on the same page', async () => {
    const { browser, page, request } = await open();
    const again = await browser.submit(page, { ...ALICE, password: 'not-the-password' }, request.redirectUri);
    const back = await browser.submit(again, ALICE, request.redirectUri);
    assert.equal(await personOf(request, back), ALICE.email);
  });

  it('The app receives access_denied when the person cancels the sign-in', async () => {
    const { browser, page, request } = await open();
    const back = await browser.visit(`${page.url}/cancel`, {}, request.redirectUri);
    const { searchParams } = new URL(back.url);
    assert.equal(searchParams.get('error'), 'access_denied');
    assert.equal(searchParams.get('state'), new URL(request.url).searchParams.get('state'));
  });

  it('A sign-in page that was open for more than an hour answers that the sign-in has ended', async () => {
    const { browser, page, request } = await open();
    travel(3601);
    const gone = await browser.submit(page, ALICE, request.redirectUri);
    assert.equal(gone.status, 400);
    assert.match(gone.html, /This sign-in has ended/);
  });

  it('The sign-in page opens only in the browser that started the interaction', async () => {
    const { page } = await open();
    const stranger = await new Browser().visit(page.url);
    assert.equal(stranger.status, 400);
    assert.match(stranger.html, /This sign-in has ended/);
    const other = await open();
    assert.equal((await other.browser.request(other.page.url)).status, 200);
    assert.equal((await other.browser.request(page.url)).status, 400);
  });

  it('The server refuses a sign-in form with the CSRF token of another page', async () => {
    const [mine, theirs] = [await open(), await open()];
    const csrf = /name="csrf" value="([^"]+)"/.exec(theirs.page.html)?.[1] ?? '';
    for (const token of [csrf, '', 'x']) {
      const body = new URLSearchParams({ ...ALICE, csrf: token });
      const response = await mine.browser.request(`${mine.page.url}/sign-in`, { method: 'POST', body });
      assert.equal(response.status, 403);
    }
  });

  describe('Choosing an account', () => {
    const chooser = { prompt: 'select_account' };

    async function signedIn(): Promise<Browser> {
      const { browser, request } = await open();
      await signIn(browser, request);
      return browser;
    }

    it('The chosen account signs in without a password', async () => {
      const { browser, page, request } = await open(chooser, await signedIn());
      assert.match(page.html, /Choose an account/);
      assert.match(page.html, /alice@example\.com/);
      const value = /name="account" value="([^"]+)"/.exec(page.html)?.[1] ?? '';
      const back = await browser.submit(page, { account: value }, request.redirectUri);
      assert.equal(await personOf(request, back), ALICE.email);
    });

    it('Another person can sign in from the account choice', async () => {
      const { browser, page, request } = await open(chooser, await signedIn());
      const form = await browser.submit(page, { another: 'yes' }, request.redirectUri);
      assert.match(form.html, /type="password"/);
      assert.equal(emailIn(form) ?? '', '');
      let back = await browser.submit(form, ADMIN, request.redirectUri);
      if (back.html.includes('name="xsrf"')) back = await browser.submit(back, {}, request.redirectUri);
      assert.equal(await personOf(request, back), ADMIN.email);
    });

    it('The server refuses to choose an account that is not signed in to this browser', async () => {
      const admin = await open();
      const ofAdmin = await signIn(admin.browser, admin.request, ADMIN);
      const { body } = await exchangeCode(server.issuer, admin.request, ofAdmin);
      const { browser, page, request } = await open(chooser, await signedIn());
      const foreign = decodeJwt(String(body['id_token'])).sub ?? '';
      const form = await browser.submit(page, { account: foreign }, request.redirectUri);
      assert.match(form.html, /type="password"/);
    });

    it('prompt=select_account shows the sign-in form if nobody is signed in', async () => {
      const { page } = await open(chooser);
      assert.match(page.html, /type="password"/);
    });
  });
});
