import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('/userinfo', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.map((client) =>
          client.client_id === 'demo-photos' ? { ...client, api_tokens_at_userinfo: false } : client,
        ),
      }),
    });
  });
  after(() => server.close());

  const ask = (token: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${server.issuer}/userinfo`, { ...init, headers: { authorization: `Bearer ${token}` } });

  it("The userinfo response contains the claims of the token's scopes", async () => {
    const { access_token = '', id_token = '' } = await tokensFor(server.issuer, {
      parameters: { scope: 'openid email roles' },
    });
    const response = await ask(access_token);
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), {
      sub: decodeJwt(id_token).sub,
      email: 'alice@example.com',
      email_verified: true,
      roles: ['user'],
    });
  });

  it('The userinfo endpoint accepts POST, with the token in the header or in the body', async () => {
    const { access_token = '' } = await tokensFor(server.issuer);
    assert.equal((await ask(access_token, { method: 'POST' })).status, 200);
    const body = new URLSearchParams({ access_token });
    assert.equal((await fetch(`${server.issuer}/userinfo`, { method: 'POST', body })).status, 200);
  });

  it("The userinfo endpoint accepts a first-party app's access token for an API, and answers by its grant", async () => {
    const { access_token = '', id_token = '' } = await tokensFor(server.issuer, {
      parameters: { scope: 'openid profile notes:read' },
    });
    assert.match(access_token, /^ey/);
    const response = await ask(access_token);
    assert.equal(response.status, 200);
    const { sub, updated_at } = decodeJwt(id_token);
    const profile = { name: 'Alice', preferred_username: 'alice@example.com', updated_at };
    assert.deepEqual(await response.json(), { sub, ...profile });
  });

  it("The userinfo endpoint refuses a first-party app's access token for an API if its setting says so", async () => {
    const parameters = { scope: 'openid profile notes:read' };
    const { access_token = '' } = await tokensFor(server.issuer, { clientId: 'demo-photos', parameters });
    assert.match(access_token, /^ey/);
    assert.equal((await ask(access_token)).status, 401);
  });

  it("The userinfo endpoint refuses a third-party app's access token for an API, and explains which token it accepts", async () => {
    const parameters = { scope: 'openid notes:read' };
    const { access_token = '' } = await tokensFor(server.issuer, { clientId: 'demo-web', parameters });
    const response = await ask(access_token);
    assert.equal(response.status, 401);
    const body = (await response.json()) as Record<string, string>;
    assert.equal(body['error'], 'invalid_token');
    assert.match(
      body['error_description'] ?? '',
      /is for http:\/\/localhost:\d+; \/userinfo takes one without a resource/,
    );
  });

  it('The userinfo endpoint refuses an API token without openid, a revoked one and one of a machine', async () => {
    const { access_token: plain = '' } = await tokensFor(server.issuer, {
      parameters: { scope: 'notes:read', nonce: '' },
    });
    assert.equal((await ask(plain)).status, 403);
    const { access_token = '' } = await tokensFor(server.issuer, { parameters: { scope: 'openid notes:read' } });
    const form = new URLSearchParams({ token: access_token, client_id: 'demo-notes' });
    assert.equal((await fetch(`${server.issuer}/revoke`, { method: 'POST', body: form })).status, 200);
    assert.equal((await ask(access_token)).status, 401);
    const asMachine = { grant_type: 'client_credentials' };
    const { body } = await tokenRequest(server.issuer, asMachine, 'demo-service:demo-service-secret');
    assert.equal((await ask(String(body['access_token']))).status, 401);
  });

  it('The userinfo endpoint refuses a missing token, an invented one and one in the query', async () => {
    const { access_token = '' } = await tokensFor(server.issuer);
    const without = await fetch(`${server.issuer}/userinfo`);
    assert.equal(without.status, 401);
    // RFC 6750 §3.1: who shows nothing is told nothing.
    assert.doesNotMatch(without.headers.get('www-authenticate') ?? 'error', /error/);
    for (const token of ['x'.repeat(43), 'ey.ey.x']) {
      const response = await ask(token);
      assert.equal(response.status, 401);
      assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer .*error="invalid_token"/);
    }
    assert.equal((await fetch(`${server.issuer}/userinfo?access_token=${access_token}`)).status, 400);
  });
});
