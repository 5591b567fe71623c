import assert from 'node:assert/strict';
import { calculateJwkThumbprint, decodeJwt } from 'jose';
import { Browser } from '../support/browser.ts';
import { newHolder, proof } from '../support/dpop.ts';
import { ADMIN, authorizationRequest, exchangeCode, signIn, tokenRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const WEB = 'demo-web:demo-web-secret';

describe('Authorization code injection (RFC 9700 §4.5)', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer();
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());

  const attempts: readonly [name: string, change: (body: Record<string, string>) => Record<string, string>][] = [
    ['without a verifier', ({ code_verifier: _dropped, ...body }) => body],
    ['with an empty verifier', (body) => ({ ...body, code_verifier: '' })],
    ['with another verifier', (body) => ({ ...body, code_verifier: 'x'.repeat(43) })],
    ['without the redirect URI', ({ redirect_uri: _dropped, ...body }) => body],
    ['by another public client', (body) => ({ ...body, client_id: 'demo-photos' })],
  ];
  for (const [name, change] of attempts) {
    it(`An authorization code cannot be exchanged ${name}`, async () => {
      const request = authorizationRequest(server.issuer);
      const callback = await signIn(alice, request);
      const { status, body } = await tokenRequest(
        server.issuer,
        change({
          grant_type: 'authorization_code',
          code: callback.searchParams.get('code') ?? '',
          redirect_uri: request.redirectUri,
          code_verifier: request.verifier,
          client_id: request.clientId,
        }),
      );
      assert.equal(status, 400);
      assert.match(String(body['error']), /^invalid_(grant|request)$/);
      assert.equal(body['access_token'], undefined);
    });
  }

  it('The token endpoint requires the redirect URI even if the client has only one (RFC 6749 §4.1.3)', async () => {
    const request = authorizationRequest(server.issuer, 'demo-web');
    const callback = await signIn(alice, request);
    const exchange = {
      grant_type: 'authorization_code',
      code: callback.searchParams.get('code') ?? '',
      code_verifier: request.verifier,
    };
    const { status, body } = await tokenRequest(server.issuer, exchange, WEB);
    assert.deepEqual([status, body['error']], [400, 'invalid_request']);
    assert.match(String(body['error_description']), /redirect_uri/);
    const named = await tokenRequest(server.issuer, { ...exchange, redirect_uri: request.redirectUri }, WEB);
    assert.equal(named.status, 200);
  });

  it('A request without a redirect URI gets an error page even if the client has only one redirect URI', async () => {
    const { url } = authorizationRequest(server.issuer, 'demo-web');
    const answer = await alice.request(url.replace(/redirect_uri=[^&]*&/, ''));
    assert.deepEqual([answer.status, answer.headers.get('location')], [400, null]);
    assert.match(await answer.text(), /redirect_uri/);
  });

  for (const clientId of ['demo-notes', 'demo-web']) {
    it(`A victim’s code cannot be exchanged in the attacker’s own session with ${clientId} (§4.5.3.1)`, async () => {
      const victims = authorizationRequest(server.issuer, clientId);
      const stolen = (await signIn(alice, victims)).searchParams.get('code') ?? '';
      const attackers = authorizationRequest(server.issuer, clientId);
      const callback = await signIn(new Browser(), attackers, ADMIN);
      callback.searchParams.set('code', stolen);
      // The app has the verifier of the session that the answer comes to.
      const { status, body } = await exchangeCode(server.issuer, attackers, callback);
      assert.deepEqual([status, body['error'], body['access_token']], [400, 'invalid_grant', undefined]);
    });
  }

  it('An ID token without PKCE has the nonce of the request that its code was issued for (§4.5.3.2)', async () => {
    const without = { code_challenge: '', code_challenge_method: '' };
    const victims = authorizationRequest(server.issuer, 'demo-web', { ...without, nonce: 'of-the-victim' });
    const stolen = (await signIn(alice, victims)).searchParams.get('code') ?? '';
    const { body } = await tokenRequest(
      server.issuer,
      { grant_type: 'authorization_code', code: stolen, redirect_uri: victims.redirectUri, nonce: 'of-the-attacker' },
      WEB,
    );
    assert.equal(decodeJwt(String(body['id_token']))['nonce'], 'of-the-victim');
  });

  it('A code that is bound to a DPoP key cannot be exchanged without a proof by that key (RFC 9449 §10)', async () => {
    const [holder, thief] = [await newHolder(), await newHolder()];
    const dpop_jkt = await calculateJwkThumbprint(holder.jwk);
    for (const shown of [undefined, thief]) {
      const request = authorizationRequest(server.issuer, 'demo-notes', { dpop_jkt });
      const code = (await signIn(alice, request)).searchParams.get('code') ?? '';
      const stolen = await fetch(`${server.issuer}/token`, {
        method: 'POST',
        headers: shown ? { dpop: await proof(shown, { htm: 'POST', htu: `${server.issuer}/token` }) } : {},
        body: new URLSearchParams({
          ...{ grant_type: 'authorization_code', client_id: 'demo-notes', code },
          ...{ redirect_uri: request.redirectUri, code_verifier: request.verifier },
        }),
      });
      const body = (await stolen.json()) as Record<string, unknown>;
      assert.deepEqual([stolen.status, body['error'], body['access_token']], [400, 'invalid_grant', undefined]);
    }
  });

  it('A confidential client cannot exchange a public client’s code, and a public client cannot exchange its code', async () => {
    for (const [from, to] of [
      ['demo-notes', 'demo-web'],
      ['demo-web', 'demo-notes'],
    ] as const) {
      const request = authorizationRequest(server.issuer, from);
      const callback = await signIn(alice, request);
      const { status, body } = await exchangeCode(server.issuer, { ...request, clientId: to }, callback);
      assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
    }
  });

  it('The second use of a code revokes the tokens that the first use issued', async () => {
    const request = authorizationRequest(server.issuer, 'demo-web');
    const callback = await signIn(alice, request);
    const first = await exchangeCode(server.issuer, request, callback);
    const ask = () =>
      fetch(`${server.issuer}/userinfo`, {
        headers: { authorization: `Bearer ${String(first.body['access_token'])}` },
      });
    assert.equal((await ask()).status, 200);
    const second = await exchangeCode(server.issuer, request, callback);
    assert.deepEqual([second.status, second.body['error']], [400, 'invalid_grant']);
    assert.equal((await ask()).status, 401);
    const refreshed = await tokenRequest(
      server.issuer,
      { grant_type: 'refresh_token', refresh_token: String(first.body['refresh_token']) },
      WEB,
    );
    assert.equal(refreshed.body['error'], 'invalid_grant');
  });
});
