import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('/userinfo', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  const ask = (token: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${server.issuer}/userinfo`, { ...init, headers: { authorization: `Bearer ${token}` } });

  it('says of the person what the scopes of the token open', async () => {
    const { access_token = '', id_token = '' } = await tokensFor(server.issuer, {
      parameters: { scope: 'openid email roles' },
    });
    const response = await ask(access_token);
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), {
      sub: decodeJwt(id_token).sub,
      email: 'alice@example.com',
      email_verified: false,
      roles: ['user'],
    });
  });

  it('answers a POST, with the token in the header or in the body', async () => {
    const { access_token = '' } = await tokensFor(server.issuer);
    assert.equal((await ask(access_token, { method: 'POST' })).status, 200);
    const body = new URLSearchParams({ access_token });
    assert.equal((await fetch(`${server.issuer}/userinfo`, { method: 'POST', body })).status, 200);
  });

  it('refuses no token, a made-up one, one in the query, and one for an API', async () => {
    const { access_token = '' } = await tokensFor(server.issuer);
    const forApi = await tokensFor(server.issuer, { parameters: { scope: 'openid notes:read' } });
    const without = await fetch(`${server.issuer}/userinfo`);
    assert.equal(without.status, 401);
    // RFC 6750 §3.1: who shows nothing is told nothing.
    assert.doesNotMatch(without.headers.get('www-authenticate') ?? 'error', /error/);
    for (const token of ['x'.repeat(43), String(forApi['access_token'])]) {
      const response = await ask(token);
      assert.equal(response.status, 401);
      assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer .*error="invalid_token"/);
    }
    assert.equal((await fetch(`${server.issuer}/userinfo?access_token=${access_token}`)).status, 400);
  });
});
