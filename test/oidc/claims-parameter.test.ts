import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { Browser } from '../support/browser.ts';
import {
  ADMIN,
  ALICE,
  authorizationRequest,
  exchangeCode,
  signIn,
  type AuthorizationRequest,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('The claims parameter', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.map((client) =>
          client.client_id === 'demo-photos'
            ? { ...client, scopes: ['openid', 'email'] }
            : { ...client, first_party: client.client_id === 'demo-notes' },
        ),
      }),
    });
  });
  after(() => server.close());

  const ask = (claims: unknown, clientId = 'demo-web', parameters: Record<string, string> = {}) =>
    authorizationRequest(server.issuer, clientId, {
      scope: 'openid',
      claims: typeof claims === 'string' ? claims : JSON.stringify(claims),
      ...parameters,
    });

  async function tokens(request: AuthorizationRequest, browser = new Browser()) {
    const { status, body } = await exchangeCode(server.issuer, request, await signIn(browser, request));
    assert.equal(status, 200, JSON.stringify(body));
    return { ...body, idToken: decodeJwt(String(body['id_token'])) } as Record<string, unknown> & {
      idToken: Record<string, unknown>;
    };
  }

  async function userinfo(accessToken: unknown): Promise<Record<string, unknown>> {
    const response = await fetch(`${server.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${String(accessToken)}` },
    });
    return (await response.json()) as Record<string, unknown>;
  }

  async function refusal(request: AuthorizationRequest, browser = new Browser()): Promise<string | null> {
    const page = await browser.visit(request.url, {}, request.redirectUri);
    assert.equal(new URL(page.url).searchParams.get('code'), null, page.url);
    return new URL(page.url).searchParams.get('error');
  }

  it('Each requested claim appears only where it was requested, without the rest of its scope', async () => {
    for (const clientId of ['demo-web', 'demo-notes']) {
      const request = ask({ id_token: { email: { essential: true } }, userinfo: { name: null } }, clientId);
      const { idToken, access_token: accessToken } = await tokens(request);
      assert.deepEqual(
        [idToken['email'], idToken['email_verified'], idToken['name']],
        [ALICE.email, undefined, undefined],
      );
      assert.deepEqual(await userinfo(accessToken), { sub: idToken['sub'], name: 'Alice' });
    }
  });

  it('The consent page describes the requested claims, and asks for them once', async () => {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer, 'demo-web', { scope: 'openid' }), ADMIN);
    const request = ask({ userinfo: { email: null } });
    const page = await browser.visit(request.url, {}, request.redirectUri);
    assert.match(page.html, /See your email address/);
    assert.match(page.html, /value="allow"/);
    await browser.submit(page, { decision: 'allow' }, request.redirectUri);
    const again = await browser.visit(ask({ userinfo: { email: null } }).url, {}, request.redirectUri);
    assert.ok(new URL(again.url).searchParams.has('code'), again.html);
    const elsewhere = new Browser();
    const later = ask({ userinfo: { email: null } });
    const signedIn = await elsewhere.submit(await elsewhere.visit(later.url), ADMIN, later.redirectUri);
    assert.ok(new URL(signedIn.url).searchParams.has('code'), signedIn.html);
    const more = await browser.visit(ask({ userinfo: { name: null } }).url, {}, request.redirectUri);
    assert.match(more.html, /See your name/);
  });

  it('The server refuses a claim whose scope the client is not registered for', async () => {
    for (const claims of [{ userinfo: { name: null } }, { id_token: { roles: { essential: true } } }])
      assert.equal(await refusal(ask(claims, 'demo-photos')), 'invalid_request');
  });

  it('The server ignores claims that it does not know', async () => {
    const unknown = { 'https://other.example/rank': null, phone_number: { essential: true }, password: null, id: null };
    const { idToken, access_token: accessToken } = await tokens(ask({ id_token: unknown, userinfo: unknown }));
    for (const name of Object.keys(unknown)) assert.equal(idToken[name], undefined, name);
    assert.deepEqual(Object.keys(await userinfo(accessToken)), ['sub']);
  });

  it('The server answers login_required if the requested sub is not the signed-in person', async () => {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer, 'demo-web', { scope: 'openid' }));
    const claims = { id_token: { sub: { value: 'somebody-else' }, email: null } };
    assert.equal(await refusal(ask(claims, 'demo-web', { prompt: 'none' }), browser), 'login_required');
  });

  it('A claim has its true value, whatever value the app requests', async () => {
    const { idToken } = await tokens(ask({ id_token: { email: { value: 'admin@example.com' } } }));
    assert.equal(idToken['email'], ALICE.email);
  });

  it('The server refuses a malformed claims parameter', async () => {
    for (const claims of ['{', '[]', '{}', '{"userinfo":[]}', '{"id_token":"email"}'])
      assert.equal(await refusal(ask(claims)), 'invalid_request', claims);
  });

  it('The metadata advertises the claims parameter and the supported claims', async () => {
    const response = await fetch(`${server.issuer}/.well-known/openid-configuration`);
    const document = (await response.json()) as Record<string, unknown>;
    assert.equal(document['claims_parameter_supported'], true);
    assert.ok((document['claims_supported'] as string[]).includes('email'));
  });
});
