import assert from 'node:assert/strict';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, signIn, tokenRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const WEB = 'demo-web:demo-web-secret';

describe('PKCE downgrade (RFC 9700 §4.8)', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer();
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer, 'demo-web'));
  });
  after(() => server.close());

  type Refused = readonly [name: string, parameters: Record<string, string>];
  const NO_CHALLENGE: Refused = ['no challenge', { code_challenge: '', code_challenge_method: '' }];
  const REFUSED: readonly Refused[] = [
    ['a method without a challenge', { code_challenge: '' }],
    ['a plain challenge', { code_challenge_method: 'plain' }],
    ['a challenge whose method defaults to plain', { code_challenge_method: '' }],
    ['an unknown method', { code_challenge_method: 'S512' }],
    ['a challenge that is too short', { code_challenge: 'x' }],
    ['an implicit response', { response_type: 'id_token' }],
    ['a hybrid response', { response_type: 'code id_token' }],
    ['a token response', { response_type: 'token' }],
    ['no response type', { response_type: '' }],
    ['a response mode that is unknown', { response_mode: 'web_message' }],
  ];
  for (const clientId of ['demo-notes', 'demo-web']) {
    for (const [name, parameters] of clientId === 'demo-notes' ? [...REFUSED, NO_CHALLENGE] : REFUSED) {
      it(`The server refuses a request of ${clientId} with ${name}`, async () => {
        const request = authorizationRequest(server.issuer, clientId, parameters);
        const answer = await alice.request(request.url);
        const location = answer.headers.get('location') ?? '';
        const error = /error=(\w+)/.exec(location)?.[1] ?? /<dd>(\w+)<\/dd>/.exec(await answer.text())?.[1];
        assert.match(error ?? 'none', /^(invalid_request|unsupported_response_type|unsupported_response_mode)$/);
        assert.ok(location === '' || location.startsWith(request.redirectUri));
      });
    }
  }

  it('The token endpoint refuses a verifier if an attacker removed the challenge from the request', async () => {
    const request = authorizationRequest(server.issuer, 'demo-web');
    const stripped = new URL(request.url);
    stripped.searchParams.delete('code_challenge');
    stripped.searchParams.delete('code_challenge_method');
    const callback = await signIn(alice, { ...request, url: stripped.href });
    // The client knows nothing of it, and sends the verifier as ever.
    const { status, body } = await exchangeCode(server.issuer, request, callback);
    assert.deepEqual([status, body['error'], body['access_token']], [400, 'invalid_grant', undefined]);
  });

  it('The authorization endpoint refuses a repeated challenge or challenge method', async () => {
    const { url } = authorizationRequest(server.issuer);
    for (const more of ['code_challenge=mine', 'code_challenge_method=plain', 'code_challenge_method=S256']) {
      const answer = await alice.request(`${url}&${more}`);
      assert.match(answer.headers.get('location') ?? '', /[?&]error=invalid_request&/, more);
    }
  });

  it('A challenge beside a pushed request does not replace the pushed challenge', async () => {
    const request = authorizationRequest(server.issuer, 'demo-web');
    const pushed = await fetch(`${server.issuer}/par`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(WEB)}` },
      body: new URL(request.url).searchParams,
    });
    const { request_uri } = (await pushed.json()) as Record<string, string>;
    const mine = authorizationRequest(server.issuer, 'demo-web');
    const url = new URL(mine.url);
    url.searchParams.set('request_uri', request_uri ?? '');
    const page = await alice.visit(url.href, {}, request.redirectUri);
    const code = new URL(page.url).searchParams.get('code') ?? assert.fail(page.url);
    const exchange = (verifier: string) =>
      tokenRequest(
        server.issuer,
        { grant_type: 'authorization_code', code, redirect_uri: request.redirectUri, code_verifier: verifier },
        WEB,
      );
    assert.equal((await exchange(mine.verifier)).body['error'], 'invalid_grant');
  });
});
