import assert from 'node:assert/strict';
import { Browser } from '../support/browser.ts';
import { answerAtOnce, authorizationRequest, signIn, tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('Specification requirements on every server', () => {
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
    'a display parameter': { display: 'touch' },
    'preferred languages': { ui_locales: 'fr-CA fr en', claims_locales: 'de' },
    'an unknown voluntary acr': { acr_values: 'urn:mace:incommon:iap:silver' },
    'a login_hint of no account': { login_hint: 'nobody@example.com' },
    'an unknown parameter': { unheard_of: 'x' },
  };
  for (const [what, parameters] of Object.entries(harmless)) {
    it(`The server accepts a request with ${what} (OpenID Connect Core §15.1, RFC 6749 §3.1)`, async () => {
      const answer = await silent(parameters);
      assert.ok(answer['code'] !== undefined, JSON.stringify(answer));
    });
  }

  it('The server treats a parameter without a value as omitted (RFC 6749 §3.1)', async () => {
    const request = authorizationRequest(server.issuer, 'demo-notes', { prompt: 'none' });
    const answer = await answerAtOnce(alice, { ...request, url: `${request.url}&max_age=&acr_values=&display=` });
    assert.ok(answer['code'] !== undefined, JSON.stringify(answer));
  });

  it('The server refuses prompt=none together with another prompt (OpenID Connect Core §3.1.2.1)', async () => {
    assert.equal((await silent({ prompt: 'none login' }))['error'], 'invalid_request');
  });

  it('The server answers registration_not_supported to the registration parameter (OpenID Connect Core §7.2.1)', async () => {
    const answer = await silent({ registration: '{"client_name":"x"}' });
    assert.equal(answer['error'], 'registration_not_supported');
  });

  it('A token response forbids caching (RFC 6749 §5.1)', async () => {
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

  it('The server sends a challenge to a client that failed with the Authorization header (RFC 6749 §5.2)', async () => {
    const { status, body, response } = await tokenRequest(
      server.issuer,
      { grant_type: 'client_credentials' },
      'demo-service:wrong',
    );
    assert.deepEqual([status, body['error']], [401, 'invalid_client']);
    assert.match(response.headers.get('www-authenticate') ?? '', /^Basic/);
  });

  it('The /userinfo challenge names an error only if the request has a token (RFC 6750 §3.1)', async () => {
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
