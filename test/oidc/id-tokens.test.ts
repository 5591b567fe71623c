import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { authorizationRequest, exchangeCode, refresh, signIn, tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { verified } from '../support/tokens.ts';

const photosChoosesEs256 = (config: Config): Config => ({
  ...config,
  clients: config.clients.map((client) =>
    client.client_id === 'demo-photos' ? { ...client, id_token_signing_alg: 'ES256' } : client,
  ),
});

describe('ID tokens', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: photosChoosesEs256 });
  });
  after(() => server.close());
  afterEach(returnToPresent);

  it('An ID token names the account, the client, the session, and the time and method of the sign-in', async () => {
    const before = Math.floor(Date.now() / 1000);
    const request = authorizationRequest(server.issuer, 'demo-notes', { scope: 'openid' });
    const { body } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request));
    const { claims } = await verified(server.issuer, String(body['id_token']), 'demo-notes');
    const { iat = 0, exp = 0, sub, sid, auth_time, ...rest } = claims;
    assert.deepEqual(rest, {
      iss: server.issuer,
      aud: 'demo-notes',
      nonce: new URL(request.url).searchParams.get('nonce'),
      acr: 'aal1',
      amr: ['pwd'],
    });
    assert.match(String(sub), /^acc_/);
    assert.match(String(sid), /^[\w-]{20,}$/);
    assert.equal(exp - iat, 3600);
    assert.ok(Number(auth_time) >= before && Number(auth_time) <= iat);
  });

  it('An ID token contains only the claims of the granted scopes', async () => {
    const claimsFor = async (scope: string): Promise<Record<string, unknown>> => {
      const { id_token } = await tokensFor(server.issuer, { parameters: { scope } });
      const { name, email, email_verified, roles } = (await verified(server.issuer, id_token, 'demo-notes')).claims;
      return { name, email, email_verified, roles };
    };
    const none = { name: undefined, email: undefined, email_verified: undefined, roles: undefined };
    assert.deepEqual(await claimsFor('openid profile'), { ...none, name: 'Alice' });
    assert.deepEqual(await claimsFor('openid email'), { ...none, email: 'alice@example.com', email_verified: true });
    assert.deepEqual(await claimsFor('openid roles'), { ...none, roles: ['user'] });
  });

  it('An ID token is signed with RS256 unless the client is registered for another algorithm', async () => {
    for (const [clientId, alg] of [
      ['demo-notes', 'RS256'],
      ['demo-photos', 'ES256'],
    ] as const) {
      const { id_token } = await tokensFor(server.issuer, { clientId });
      assert.equal((await verified(server.issuer, id_token, clientId)).header.alg, alg);
    }
  });

  it('The ID tokens of two apps have the same sub and different sids', async () => {
    const browser = new Browser();
    const [notes, photos] = [
      await tokensFor(server.issuer, { browser }),
      await tokensFor(server.issuer, { browser, clientId: 'demo-photos' }),
    ];
    const [inNotes, inPhotos] = [
      (await verified(server.issuer, notes['id_token'], 'demo-notes')).claims,
      (await verified(server.issuer, photos['id_token'], 'demo-photos')).claims,
    ];
    assert.equal(inNotes.sub, inPhotos.sub);
    assert.equal(inNotes['auth_time'], inPhotos['auth_time']);
    assert.notEqual(inNotes['sid'], inPhotos['sid']);
  });

  it('A refreshed ID token keeps the time and the session of the sign-in', async () => {
    const first = await tokensFor(server.issuer);
    travel(600);
    const { body } = await refresh(server.issuer, first['refresh_token']);
    const [old, renewed] = [
      (await verified(server.issuer, first['id_token'], 'demo-notes')).claims,
      (await verified(server.issuer, String(body['id_token']), 'demo-notes')).claims,
    ];
    for (const claim of ['sub', 'sid', 'auth_time', 'acr', 'amr']) assert.deepEqual(renewed[claim], old[claim], claim);
    assert.ok((renewed.iat ?? 0) >= (old.iat ?? 0) + 600);
  });

  it('A refreshed ID token contains no nonce (OpenID Connect Core §12.2)', async () => {
    const { browser, basic } = { browser: new Browser(), basic: 'demo-web:demo-web-secret' };
    for (const clientId of ['demo-notes', 'demo-web']) {
      const first = await tokensFor(server.issuer, { browser, clientId, parameters: { nonce: 'of-the-request' } });
      assert.equal((await verified(server.issuer, first['id_token'], clientId)).claims['nonce'], 'of-the-request');
      let token = first['refresh_token'] ?? '';
      for (const time of ['first', 'second']) {
        const parameters = { grant_type: 'refresh_token', refresh_token: token, client_id: clientId };
        const { body } = await tokenRequest(server.issuer, parameters, clientId === 'demo-web' ? basic : undefined);
        const { claims } = await verified(server.issuer, String(body['id_token']), clientId);
        assert.equal(claims['nonce'], undefined, `the ${time} refresh of ${clientId}`);
        token = String(body['refresh_token']);
      }
    }
  });

  it('A token response without the openid scope contains no ID token', async () => {
    const { id_token } = await tokensFor(server.issuer, { parameters: { scope: 'notes:read', nonce: '' } });
    assert.equal(id_token, undefined);
  });
});
