import assert from 'node:assert/strict';
import { Browser } from '../support/browser.ts';
import { answerAtOnce, authorizationRequest, signIn, tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('What the specifications ask of every server', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer();
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());

  const silent = (parameters: Record<string, string>): Promise<Record<string, string>> =>
    answerAtOnce(alice, authorizationRequest(server.issuer, 'demo-notes', { prompt: 'none', ...parameters }));

  const harmless: Record<string, Record<string, string>> = {
    'a display': { display: 'touch' },
    languages: { ui_locales: 'fr-CA fr en', claims_locales: 'de' },
    'a class of sign-in that is not there, as a wish': { acr_values: 'urn:mace:incommon:iap:silver' },
    'a hint that nobody has': { login_hint: 'nobody@example.com' },
    'a parameter that nobody knows': { unheard_of: 'x' },
  };
  for (const [what, parameters] of Object.entries(harmless)) {
    it(`a request with ${what} is no error (OpenID Connect Core §15.1, RFC 6749 §3.1)`, async () => {
      const answer = await silent(parameters);
      assert.ok(answer['code'] !== undefined, JSON.stringify(answer));
    });
  }

  it('a parameter without a value counts as left out (RFC 6749 §3.1)', async () => {
    const request = authorizationRequest(server.issuer, 'demo-notes', { prompt: 'none' });
    const answer = await answerAtOnce(alice, { ...request, url: `${request.url}&max_age=&acr_values=&display=` });
    assert.ok(answer['code'] !== undefined, JSON.stringify(answer));
  });

  it('prompt=none stands alone (OpenID Connect Core §3.1.2.1)', async () => {
    assert.equal((await silent({ prompt: 'none login' }))['error'], 'invalid_request');
  });

  it('a client that registers itself in its request is told that this is not done (§7.2.1)', async () => {
    const answer = await silent({ registration: '{"client_name":"x"}' });
    assert.equal(answer['error'], 'registration_not_supported');
  });

  it('an answer with tokens is kept by no cache (RFC 6749 §5.1)', async () => {
    const request = authorizationRequest(server.issuer, 'demo-web');
    const callback = await signIn(new Browser(), request);
    const { response } = await tokenRequest(
      server.issuer,
      {
        grant_type: 'authorization_code',
        code: callback.searchParams.get('code') ?? '',
        redirect_uri: request.redirectUri,
        code_verifier: request.verifier,
      },
      'demo-web:demo-web-secret',
    );
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.equal(response.headers.get('pragma'), 'no-cache');
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  });

  it('a client that failed by the header learns how to prove itself (RFC 6749 §5.2)', async () => {
    const { status, body, response } = await tokenRequest(
      server.issuer,
      { grant_type: 'client_credentials' },
      'demo-service:wrong',
    );
    assert.deepEqual([status, body['error']], [401, 'invalid_client']);
    assert.match(response.headers.get('www-authenticate') ?? '', /^Basic/);
  });

  it('/userinfo names no error where no token came, and the error where one did (RFC 6750 §3.1)', async () => {
    const ask = async (headers: Record<string, string>): Promise<[number, string]> => {
      const response = await fetch(`${server.issuer}/userinfo`, { headers });
      return [response.status, response.headers.get('www-authenticate') ?? ''];
    };
    const [missing, bare] = await ask({});
    assert.equal(missing, 401);
    assert.match(bare, /^Bearer/);
    assert.doesNotMatch(bare, /error=/);
    const [other, unnamed] = await ask({ authorization: 'Basic eDp5' });
    assert.deepEqual([other, unnamed], [missing, bare], 'another scheme brings no token');
    const [wrong, named] = await ask({ authorization: 'Bearer made-up' });
    assert.equal(wrong, 401);
    assert.match(named, /error="invalid_token"/);
    const { access_token: token = '' } = await tokensFor(server.issuer, {
      clientId: 'demo-web',
      parameters: { scope: 'email', nonce: '' },
    });
    const [narrow, scope] = await ask({ authorization: `Bearer ${token}` });
    assert.equal(narrow, 403);
    assert.match(scope, /error="insufficient_scope"/);
  });
});
