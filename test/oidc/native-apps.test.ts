import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { ClientConfig } from '../../src/config/schema.ts';
import { Browser, type Page } from '../support/browser.ts';
import { ALICE, authorizationRequest, exchangeCode, type AuthorizationRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const OWN_SCHEME = 'com.example.notes:/callback';
const LOOPBACK = 'http://127.0.0.1/callback';

/** Apps on a device: the demo's app, registered with the redirect URIs of one. */
const apps = (notes: ClientConfig): ClientConfig[] => [
  { ...notes, client_id: 'phone', redirect_uris: [OWN_SCHEME], post_logout_redirect_uris: ['com.example.notes:/out'] },
  { ...notes, client_id: 'command-line', redirect_uris: [LOOPBACK, 'http://[::1]/callback'] },
  { ...notes, client_id: 'with-a-port', redirect_uris: ['http://127.0.0.1:8400/callback'] },
];

describe('Native apps (RFC 8252)', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.flatMap((one) => [one, ...(one.client_id === 'demo-notes' ? apps(one) : [])]),
      }),
    });
  });
  after(() => server.close());

  const requestOf = (
    clientId: string,
    redirectUri: string,
    parameters: Record<string, string> = {},
  ): AuthorizationRequest =>
    authorizationRequest(server.issuer, clientId, { redirect_uri: redirectUri, ...parameters });

  const visit = (browser: Browser, request: AuthorizationRequest): Promise<Page> =>
    browser.visit(request.url, {}, request.redirectUri);

  /** What a person sees after signing in. */
  const questionOf = async (browser: Browser, request: AuthorizationRequest): Promise<Page> =>
    browser.submit(await visit(browser, request), ALICE, request.redirectUri);

  const allow = (browser: Browser, question: Page, request: AuthorizationRequest): Promise<Page> =>
    browser.submit(question, { decision: 'allow' }, request.redirectUri);

  const isAsked = (page: Page): boolean => page.status === 200 && page.html.includes('value="allow"');

  it('A native app receives its code at its own scheme and exchanges it for tokens', async () => {
    const [browser, request] = [new Browser(), requestOf('phone', OWN_SCHEME)];
    const back = await allow(browser, await questionOf(browser, request), request);
    assert.match(back.url, /^com\.example\.notes:\/callback\?code=[\w-]+&/);
    const { status, body } = await exchangeCode(server.issuer, request, new URL(back.url));
    assert.equal(status, 200);
    assert.deepEqual([typeof body['access_token'], typeof body['refresh_token']], ['string', 'string']);
  });

  it('The policy of the consent page allows only the scheme of the app as a form target', async () => {
    const [browser, request] = [new Browser(), requestOf('phone', OWN_SCHEME)];
    const policy = (await questionOf(browser, request)).response.headers.get('content-security-policy');
    assert.match(policy ?? '', /form-action 'self' com\.example\.notes:(;|$)/);
  });

  it('A first-party app with its own scheme needs consent each time, as another app can imitate it (RFC 8252 §8.6)', async () => {
    const [browser, request] = [new Browser(), requestOf('phone', OWN_SCHEME)];
    const first = await questionOf(browser, request);
    assert.ok(isAsked(first));
    await allow(browser, first, request);
    const again = requestOf('phone', OWN_SCHEME);
    const second = await visit(browser, again);
    assert.ok(isAsked(second));
    const { status } = await exchangeCode(server.issuer, again, new URL((await allow(browser, second, again)).url));
    assert.equal(status, 200);
    const silent = new URL((await visit(browser, requestOf('phone', OWN_SCHEME, { prompt: 'none' }))).url);
    assert.equal(silent.searchParams.get('error'), 'interaction_required');
  });

  it('An app at a loopback address needs consent each time, with or without a registered port (RFC 8252 §8.6)', async () => {
    for (const clientId of ['command-line', 'with-a-port']) {
      const browser = new Browser();
      const at = (parameters: Record<string, string> = {}) =>
        requestOf(clientId, 'http://127.0.0.1:8400/callback', parameters);
      const first = at();
      await allow(browser, await questionOf(browser, first), first);
      assert.ok(isAsked(await visit(browser, at())), clientId);
      const silent = new URL((await visit(browser, at({ prompt: 'none' }))).url);
      assert.deepEqual(
        [silent.searchParams.get('error'), silent.searchParams.get('code')],
        ['interaction_required', null],
      );
    }
  });

  it('A native app receives the roles only if the person allowed it', async () => {
    const rolesFor = async (scope: string): Promise<unknown> => {
      const [browser, request] = [new Browser(), requestOf('phone', OWN_SCHEME, { scope })];
      const answer = await allow(browser, await questionOf(browser, request), request);
      const { body } = await exchangeCode(server.issuer, request, new URL(answer.url));
      return decodeJwt(String(body['access_token']))['roles'];
    };
    assert.equal(await rolesFor('openid notes:read'), undefined);
    assert.deepEqual(await rolesFor('openid roles notes:read'), ['user']);
  });

  it('A native app receives access_denied at its scheme if the person refuses', async () => {
    const [browser, request] = [new Browser(), requestOf('phone', OWN_SCHEME)];
    const question = await questionOf(browser, request);
    const back = await browser.submit(question, { decision: 'deny' }, request.redirectUri);
    assert.match(back.url, /^com\.example\.notes:\/callback\?error=access_denied&/);
  });

  it('A native app may use any port of its registered loopback address (RFC 8252 §7.3)', async () => {
    for (const redirectUri of ['http://127.0.0.1:51004/callback', 'http://[::1]:49152/callback', LOOPBACK]) {
      const [browser, request] = [new Browser(), requestOf('command-line', redirectUri)];
      const back = await allow(browser, await questionOf(browser, request), request);
      assert.ok(back.url.startsWith(`${redirectUri}?code=`), back.url);
      assert.equal((await exchangeCode(server.issuer, request, new URL(back.url))).status, 200);
    }
  });

  const strangers: Record<string, [string, string]> = {
    'another scheme': ['phone', 'com.example.evil:/callback'],
    'its scheme with another path': ['phone', 'com.example.notes:/callback/evil'],
    'its scheme with an authority': ['phone', 'com.example.notes://evil/callback'],
    'a loopback address of an app that has a scheme': ['phone', 'http://127.0.0.1:51004/callback'],
    'another path of the loopback address': ['command-line', 'http://127.0.0.1:51004/other'],
    'another loopback host': ['command-line', 'http://localhost:51004/callback'],
    'a user name before a loopback address': ['command-line', 'http://evil@127.0.0.1:51004/callback'],
    'a loopback address that is only a user name': ['command-line', 'http://127.0.0.1:80@evil.example/callback'],
    'https on the loopback address': ['command-line', 'https://127.0.0.1:51004/callback'],
    'another port of a web app in development': ['demo-notes', 'http://localhost:51004/callback'],
  };
  for (const [what, [clientId, redirectUri]] of Object.entries(strangers)) {
    it(`The server refuses to redirect a native app to ${what}`, async () => {
      const page = await visit(new Browser(), requestOf(clientId, redirectUri));
      assert.equal(page.status, 400);
      assert.match(page.html, /redirect_uri/);
    });
  }

  it("The token endpoint refuses a native app's code with a wrong PKCE verifier (RFC 8252 §8.1)", async () => {
    const [browser, request] = [new Browser(), requestOf('phone', OWN_SCHEME)];
    const back = await allow(browser, await questionOf(browser, request), request);
    const stolen = { ...request, verifier: requestOf('phone', OWN_SCHEME).verifier };
    const { status, body } = await exchangeCode(server.issuer, stolen, new URL(back.url));
    assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
  });

  it('The sign-out refuses a post-logout redirect URI that the app has not registered', async () => {
    const page = await new Browser().visit(
      `${server.issuer}/logout?client_id=phone&post_logout_redirect_uri=${encodeURIComponent('com.example.evil:/out')}`,
    );
    assert.equal(page.status, 400);
  });
});
