import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { ALICE, authorizationRequest, exchangeCode, signIn, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

/** RFC 6749 §4.1.2.1 and §5.2. */
const DESCRIPTION = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** The demo's web app may have an ID token by the browser. */
function withHybrid(config: Config): Config {
  return {
    ...config,
    clients: config.clients.map((client) =>
      client.client_id === 'demo-web'
        ? { ...client, profile: 'legacy', first_party: true, response_types: ['code', 'code id_token', 'id_token'] }
        : client,
    ),
  };
}

describe('Specification requirements on the authorization endpoint', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer({ change: withHybrid });
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());
  afterEach(returnToPresent);

  const ask = (parameters: Record<string, string> = {}, clientId = 'demo-notes') =>
    authorizationRequest(server.issuer, clientId, parameters);

  /** The parameters of the answer at the redirect URI, wherever the response mode puts them. */
  async function answered(request: ReturnType<typeof ask>, url = request.url): Promise<URLSearchParams> {
    const page = await alice.visit(url, {}, request.redirectUri);
    assert.ok(page.url.startsWith(request.redirectUri), `${page.url}:\n${page.html}`);
    const { search, hash } = new URL(page.url);
    return new URLSearchParams(search === '' ? hash.slice(1) : search);
  }

  it('The authorization endpoint accepts POST like GET (OpenID Connect Core §3.1.2.1)', async () => {
    const request = ask({ prompt: 'none' });
    const body = new URL(request.url).searchParams;
    const page = await alice.visit(`${server.issuer}/authorize`, { method: 'POST', body }, request.redirectUri);
    assert.equal((await exchangeCode(server.issuer, request, new URL(page.url))).status, 200);
  });

  it('The authorization endpoint compares response types as sets, in any order (RFC 6749 §3.1.1)', async () => {
    const answer = await answered(ask({ response_type: 'id_token code' }, 'demo-web'));
    assert.ok(answer.get('code') !== null && answer.get('id_token') !== null, answer.toString());
  });

  it('The authorization endpoint reports a missing or unknown response type to the redirect URI (RFC 6749 §3.1.1)', async () => {
    assert.equal((await answered(ask({ response_type: '' }))).get('error'), 'invalid_request');
    assert.equal((await answered(ask({ response_type: 'dance' }))).get('error'), 'unsupported_response_type');
  });

  for (const name of ['scope', 'state', 'response_type', 'nonce', 'prompt', 'max_age', 'claims']) {
    it(`The authorization endpoint refuses a request with two values of ${name} (RFC 6749 §3.1)`, async () => {
      const request = ask({ prompt: 'none', max_age: '100', claims: '{}' });
      const url = new URL(request.url);
      url.searchParams.append(name, url.searchParams.get(name) ?? '');
      const page = await alice.visit(url.href, {}, request.redirectUri);
      assert.equal(new URL(page.url).searchParams.get('code'), null);
      assert.match(page.url + page.html, /invalid_request/);
    });
  }

  it('The authorization endpoint refuses a request without a scope, or uses all scopes of the resource (RFC 6749 §3.3)', async () => {
    const answer = await answered(ask({ scope: '', nonce: '' }));
    assert.deepEqual([answer.get('error'), answer.get('scope')], ['invalid_scope', null]);
    const request = ask({ scope: '', nonce: '', resource: apiOf(server.issuer) });
    const { status, body } = await exchangeCode(server.issuer, request, await signIn(alice, request));
    assert.deepEqual([status, body['scope']], [200, 'notes:read']);
  });

  it('The authorization endpoint accepts scopes in any order and ignores repeated ones (RFC 6749 §3.3)', async () => {
    const request = ask({ scope: 'email openid email profile' });
    const { status, body } = await exchangeCode(server.issuer, request, await signIn(alice, request));
    assert.deepEqual([status, String(body['scope']).split(' ').toSorted()], [200, ['email', 'openid', 'profile']]);
  });

  it('The error descriptions contain only allowed characters, whatever was sent (RFC 6749 §4.1.2.1)', async () => {
    const odd = 'é"\\\u0007💥';
    let told = 0;
    const faults: Record<string, string>[] = [
      { scope: `openid ${odd}` },
      { scope: odd, nonce: '' },
      { response_type: odd },
      { response_mode: odd },
      { prompt: odd },
      { max_age: odd },
      { claims: odd },
      { claims: `{"userinfo":{"${odd}":5}}` },
      { resource: odd },
      { code_challenge: odd },
      { code_challenge_method: odd },
      { id_token_hint: odd },
      { request: odd },
      { request_uri: odd },
    ];
    for (const fault of faults) {
      const request = ask({ prompt: 'none', ...fault });
      const page = await alice.visit(request.url, {}, request.redirectUri);
      if (!page.url.startsWith(request.redirectUri)) continue;
      const { search, hash } = new URL(page.url);
      const answer = new URLSearchParams(search === '' ? hash.slice(1) : search);
      assert.notEqual(answer.get('error'), null, JSON.stringify(fault));
      assert.match(answer.get('error_description') ?? '', DESCRIPTION, JSON.stringify(fault));
      told += 1;
    }
    assert.ok(told >= 10, `${told} of ${faults.length} were told to the app`);
  });

  it('The authorization endpoint returns a state of any allowed characters (RFC 6749 §4.1.2)', async () => {
    const state = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
    assert.equal((await answered(ask({ state, prompt: 'none' }))).get('state'), state);
    assert.equal((await answered(ask({ state: '', prompt: 'none' }))).get('state'), null);
  });

  it('The authorization endpoint requires a new sign-in for max_age=0 (OpenID Connect Core §3.1.2.1)', async () => {
    travel(10);
    const request = ask({ max_age: '0' });
    const page = await alice.visit(request.url, {}, request.redirectUri);
    assert.match(page.html, /type="password"/);
    const back = await alice.submit(page, { ...ALICE }, request.redirectUri);
    const { body } = await exchangeCode(server.issuer, request, new URL(back.url));
    const { claims } = await verified(server.issuer, String(body['id_token']), 'demo-notes');
    assert.ok(Number(claims['auth_time']) >= Math.floor(Date.now() / 1000) - 5);
  });

  it('The authorization endpoint accepts an expired ID token as a hint (OpenID Connect Core §3.1.2.1)', async () => {
    const { id_token = '' } = await tokensFor(server.issuer, { browser: alice });
    travel(2 * 3600);
    await signIn(alice, ask());
    assert.ok((await answered(ask({ id_token_hint: id_token, prompt: 'none' }))).get('code') !== null);
  });

  it('The authorization endpoint shows the account choice for prompt=select_account', async () => {
    const request = ask({ prompt: 'select_account' });
    const page = await alice.visit(request.url, {}, request.redirectUri);
    assert.ok(page.url.startsWith(server.issuer), page.url);
    assert.match(page.html, /Alice/);
  });

  it('The authorization endpoint puts the login_hint into the sign-in form', async () => {
    const request = ask({ login_hint: 'somebody@example.com', prompt: 'login' });
    const page = await new Browser().visit(request.url, {}, request.redirectUri);
    assert.match(page.html, /value="somebody@example\.com"/);
  });

  it('The authorization endpoint grants no offline access to a request without a code (OpenID Connect Core §11)', async () => {
    const request = ask({ response_type: 'id_token', scope: 'openid offline_access', prompt: 'consent' }, 'demo-web');
    const page = await alice.visit(request.url, {}, request.redirectUri);
    const { hash } = new URL(page.url);
    const answer = new URLSearchParams(hash.slice(1));
    assert.equal(answer.get('refresh_token'), null);
    assert.doesNotMatch(page.html, /offline|stay connected/i);
  });

  it('The authorization endpoint refuses a requested sub that is not the signed-in person (OpenID Connect Core §5.5.1)', async () => {
    const claims = JSON.stringify({ id_token: { sub: { value: 'somebody-else' } } });
    const answer = await answered(ask({ claims, prompt: 'none' }));
    assert.deepEqual([answer.get('code'), answer.get('error') !== null], [null, true]);
  });

  it('The codes and tokens contain at least 256 random bits (RFC 6749 §10.10)', async () => {
    const request = ask({ prompt: 'none' });
    const answer = await answered(request);
    assert.match(answer.get('code') ?? '', /^[\w-]{43,}$/);
    const { access_token = '', refresh_token = '' } = await tokensFor(server.issuer, { browser: alice });
    for (const token of [access_token, refresh_token]) assert.match(token, /^[\w-]{43,}$/);
  });

  it('The authorization endpoint forbids caching, redirects by GET and sends no CORS headers (RFC 9700 §2.1, §4.12)', async () => {
    const request = ask({ prompt: 'none' });
    const response = await fetch(request.url, { redirect: 'manual', headers: { origin: 'http://localhost:9999' } });
    assert.ok([302, 303].includes(response.status));
    assert.match(response.headers.get('cache-control') ?? '', /no-store/);
    assert.equal(response.headers.get('access-control-allow-origin'), null);
  });
});
