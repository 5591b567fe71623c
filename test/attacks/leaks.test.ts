import assert from 'node:assert/strict';
import { Browser, formOf } from '../support/browser.ts';
import { ADMIN, ALICE, authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** Keeps everything that a browser sees go by. */
class WatchedBrowser extends Browser {
  readonly answers: { url: string; response: Response }[] = [];
  override async request(url: string, init: RequestInit = {}): Promise<Response> {
    const response = await super.request(url, init);
    this.answers.push({ url, response });
    return response;
  }
}

describe('Leaks through URLs, referrers and browser history', () => {
  let server: TestServer;
  let browser: WatchedBrowser;
  let tokens: Record<string, string>;
  before(async () => {
    server = await startTestServer();
    browser = new WatchedBrowser();
    for (const mode of ['query', 'fragment', 'form_post']) {
      const request = authorizationRequest(server.issuer, 'demo-web', { response_mode: mode });
      if (mode === 'form_post') await browser.visit(request.url);
      else {
        const callback = await signIn(browser, request);
        if (mode === 'query') tokens = (await exchangeCode(server.issuer, request, callback)).body as typeof tokens;
      }
    }
    await browser.visit(`${server.issuer}/logout?client_id=demo-web`);
    await browser.submit(await browser.visit(`${server.issuer}/logout`), { logout: 'yes' });
  });
  after(() => server.close());

  it('Every page and redirect of a visit sets the referrer policy no-referrer (RFC 9700 §4.2.4)', () => {
    assert.ok(browser.answers.length > 12);
    for (const { url, response } of browser.answers)
      assert.equal(response.headers.get('referrer-policy'), 'no-referrer', url);
  });

  it('Every page and redirect of a visit forbids browsers and caches to store it (RFC 9700 §4.3)', () => {
    for (const { url, response } of browser.answers)
      assert.match(response.headers.get('cache-control') ?? 'none', /no-store/, url);
  });

  it('No URL of a visit contains a token, a password or a cookie (RFC 9700 §4.3.2)', () => {
    const urls = browser.answers
      .flatMap(({ url, response }) => [url, response.headers.get('location') ?? ''])
      .join('\n');
    const lines = browser.answers.flatMap(({ response }) => response.headers.getSetCookie());
    const cookies = lines.flatMap((line) => /^latchkey_\w+(?:\.sig)?=([^;]+)/.exec(line)?.[1] ?? []);
    assert.ok(cookies.length > 3);
    const secrets = [tokens['access_token'], tokens['refresh_token'], tokens['id_token'], ALICE.password, ...cookies];
    assert.match(urls, /[?&#]code=/);
    for (const secret of secrets) assert.ok(!urls.includes(secret ?? assert.fail()), 'a secret stands in a URL');
  });

  it('The sign-in and consent pages load nothing from other hosts (RFC 9700 §4.2.2)', async () => {
    const person = new Browser();
    const page = await person.visit(authorizationRequest(server.issuer, 'demo-web').url);
    const consent = await person.submit(page, { ...ADMIN });
    for (const { html } of [page, consent]) {
      const loaded = [...html.matchAll(/(?:src|<link[^>]*href)="([^"]*)"/g)].map(([, url = '']) => url);
      assert.ok(loaded.length > 0);
      assert.deepEqual(
        loaded.filter((url) => !url.startsWith('/assets/')),
        [],
      );
    }
  });

  describe('Parameters in a URL (RFC 9700 §4.3.2, RFC 6749 §3.2)', () => {
    const query = (parameters: Record<string, string>): string => new URLSearchParams(parameters).toString();
    const web = { client_id: 'demo-web', client_secret: 'demo-web-secret' };

    it('The token endpoint ignores client secrets and refresh tokens in the URL', async () => {
      for (const parameters of [
        { grant_type: 'client_credentials', client_id: 'demo-service', client_secret: 'demo-service-secret' },
        { ...web, grant_type: 'refresh_token', refresh_token: tokens['refresh_token'] ?? '' },
      ]) {
        const url = `${server.issuer}/token?${query(parameters)}`;
        for (const init of [{ method: 'POST' }, { method: 'POST', body: new URLSearchParams() }, { method: 'GET' }]) {
          const answer = await fetch(url, init);
          assert.ok([400, 401, 404, 405].includes(answer.status), `${answer.status}`);
          assert.equal(((await answer.json()) as Record<string, unknown>)['access_token'], undefined);
        }
      }
    });

    it('The introspection, revocation and PAR endpoints ignore client credentials in the URL', async () => {
      for (const path of ['/introspect', '/revoke', '/par']) {
        const url = `${server.issuer}${path}?${query({ ...web, token: 'x', response_type: 'code' })}`;
        const answer = await fetch(url, { method: 'POST', body: new URLSearchParams() });
        assert.ok([400, 401].includes(answer.status), `${path}: ${answer.status}`);
      }
    });

    it('The sign-in form ignores a password in its URL', async () => {
      const person = new Browser();
      const { action, hidden } = formOf(await person.visit(authorizationRequest(server.issuer).url));
      const answer = await person.request(`${action}?${query(ALICE)}`, {
        method: 'POST',
        body: new URLSearchParams(hidden),
      });
      assert.deepEqual([answer.status, answer.headers.get('location')], [400, null]);
    });
  });
});
