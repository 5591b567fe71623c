import assert from 'node:assert/strict';
import { Browser, type Page } from '../support/browser.ts';
import { ADMIN, ALICE, answerAtOnce, authorizationRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { inNewBrowser, wordsOf } from './people.ts';

const PAGES = ['/', '/password', '/sessions', '/apps'];

describe('Signing in to an account page', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  const at = (path: string): string => server.issuer + path;
  /** Where the page at the root leads who is signed out; the others lead there by themselves. */
  const linkOf = ({ html }: Page): string =>
    server.issuer + (/href="([^"]+)"[^>]*>(?:<bdi>)?Sign in</.exec(html)?.[1] ?? '').replaceAll('&amp;', '&');
  const open = async (browser: Browser, path: string): Promise<Page> => {
    const page = await browser.visit(at(path));
    return path === '/' ? browser.visit(linkOf(page)) : page;
  };

  for (const path of PAGES) {
    it(`The sign-in for an account page leads back to ${path} and also signs the person in to apps`, async () => {
      const browser = new Browser();
      const form = await open(browser, path);
      assert.match(wordsOf(form), /^Sign in to continue to Latchkey demo/);
      const refused = await browser.submit(form, { email: ALICE.email, password: 'not her password' });
      assert.equal(refused.status, 401);
      const page = await browser.submit(refused, { ...ALICE });
      assert.deepEqual([page.url, page.status], [at(path), 200]);
      const { code } = await answerAtOnce(browser, authorizationRequest(server.issuer, undefined, { prompt: 'none' }));
      assert.match(code ?? '', /./);
    });
  }

  it('A cancelled sign-in leads to the account page, and a sign-up leads to the requested page', async () => {
    const browser = new Browser();
    const form = await open(browser, '/password');
    const cancel = /href="([^"]+\/cancel)"/.exec(form.html)?.[1] ?? '';
    assert.equal((await browser.visit(at(cancel))).url, at('/'));

    const signUp = /href="([^"]+\/sign-up)"/.exec((await open(browser, '/apps')).html)?.[1] ?? '';
    const person = { name: 'Bea', email: 'bea@example.com', password: 'plum cassette harbour' };
    assert.equal((await browser.submit(await browser.visit(at(signUp)), person)).url, at('/apps'));
  });

  it('The return path of the sign-in ignores every target that is not an account page', async () => {
    const targets = [
      '//evil.example',
      'https://evil.example/',
      '/\\evil.example',
      '/password/../logout',
      '/logout',
      '',
    ];
    for (const state of [...targets, '/interaction/x', '/PASSWORD', '/password?x', 'password']) {
      const { browser } = await inNewBrowser(server.issuer);
      const query = new URLSearchParams({ state, iss: server.issuer }).toString();
      const answer = await browser.request(at(`/signed-in?${query}`));
      assert.deepEqual([answer.status, answer.headers.get('location')], [303, '/'], state);
    }
    const query = new URLSearchParams({ redirect_uri: 'https://evil.example/', state: '/' }).toString();
    const request = `/authorize?client_id=latchkey-account&response_type=none&scope=openid&${query}`;
    const answer = await new Browser().request(at(request));
    assert.deepEqual([answer.status, answer.headers.get('location')], [400, null]);
  });

  it('The client latchkey-account receives no code or token, and no page lists it as an app', async () => {
    const redirect = new URLSearchParams({ redirect_uri: at('/signed-in'), scope: 'openid', state: '/' }).toString();
    const browser = new Browser();
    await browser.submit(await open(browser, '/apps'), { ...ADMIN });
    for (const type of ['code', 'id_token', 'token', 'code id_token']) {
      const request = `/authorize?client_id=latchkey-account&response_type=${encodeURIComponent(type)}&nonce=n&${redirect}`;
      const answer = await browser.request(at(request));
      assert.doesNotMatch(answer.headers.get('location') ?? '', /[?#&](code|token|id_token|access_token)=/);
    }
    const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'latchkey-account' });
    assert.equal((await fetch(at('/token'), { method: 'POST', body })).status, 400);
    assert.match(wordsOf(await browser.visit(at('/apps'))), /Apps you sign in to will appear here/);
    assert.doesNotMatch(wordsOf(await browser.visit(at('/sessions'))), /Apps (?!are)/);
    const metadata = (await (await fetch(at('/.well-known/openid-configuration'))).json()) as Record<string, unknown>;
    assert.deepEqual(metadata['response_types_supported'], ['code']);
    const other = authorizationRequest(server.issuer).url.replace('response_type=code', 'response_type=none');
    const refused = await new Browser().request(other);
    assert.match(refused.headers.get('location') ?? '', /error=unauthorized_client/);
  });

  it('An account form of an ended session leads to the sign-in, and from there back to its page', async () => {
    const { browser } = await inNewBrowser(server.issuer);
    const form = await browser.visit(at('/password'));
    await browser.submit(await browser.visit(at('/logout')), { logout: 'yes' });
    const fields = { current: ALICE.password, next: 'plum cassette harbour', again: 'plum cassette harbour' };
    const gone = await browser.submit(form, fields);
    assert.equal(gone.status, 400);
    assert.match(wordsOf(gone), /^Your session has ended You are no longer signed in here, so nothing was changed\./);
    assert.equal((await browser.submit(await browser.visit(linkOf(gone)), { ...ALICE })).url, at('/password'));
  });

  it('The server refuses an account form with a foreign CSRF token, and links to the page again', async () => {
    const { browser } = await inNewBrowser(server.issuer, { person: ADMIN });
    const body = new URLSearchParams({ csrf: 'of.another', current: 'x', next: 'y', again: 'y' });
    const old = await browser.visit(at('/password'), { method: 'POST', body });
    assert.equal(old.status, 403);
    assert.match(old.html, /href="\/password" rel="noreferrer"><bdi>Open the page again/);
  });

  it('/.well-known/change-password redirects to the password page', async () => {
    const answer = await new Browser().request(at('/.well-known/change-password'));
    assert.deepEqual([answer.status, answer.headers.get('location')], [303, '/password']);
    // By this address they find out whether a server answers 404 to what it does not know.
    const unknown = await fetch(at('/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200'));
    assert.equal(unknown.status, 404);
  });
});
