import assert from 'node:assert/strict';
import { refresh, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('Revocation', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  const revoke = (
    token: string | undefined,
    clientId = 'demo-notes',
    more: Record<string, string> = {},
  ): Promise<Response> =>
    fetch(`${server.issuer}/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token: token ?? '', client_id: clientId, ...more }),
    });

  const userinfo = async (token: string | undefined): Promise<number> =>
    (await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${String(token)}` } })).status;

  it('of a refresh token ends its family and its access tokens', async () => {
    const first = await tokensFor(server.issuer);
    const { body: second } = await refresh(server.issuer, first['refresh_token']);
    assert.equal((await revoke(String(second['refresh_token']))).status, 200);
    assert.equal((await refresh(server.issuer, String(second['refresh_token']))).status, 400);
    assert.equal(await userinfo(first['access_token']), 401);
    assert.equal(await userinfo(String(second['access_token'])), 401);
  });

  it('of an access token ends it', async () => {
    const { access_token } = await tokensFor(server.issuer);
    assert.equal((await revoke(access_token, 'demo-notes', { token_type_hint: 'refresh_token' })).status, 200);
    assert.equal(await userinfo(access_token), 401);
  });

  it('of a token that is none succeeds (RFC 7009 §2.2)', async () => {
    assert.equal((await revoke('x'.repeat(43))).status, 200);
  });

  it('of another client’s token changes nothing', async () => {
    const { access_token, refresh_token } = await tokensFor(server.issuer);
    for (const token of [access_token, refresh_token]) await revoke(token, 'demo-photos');
    assert.equal(await userinfo(access_token), 200);
    assert.equal((await refresh(server.issuer, refresh_token)).status, 200);
  });

  it('needs the client’s secret where it has one', async () => {
    const { refresh_token = '' } = await tokensFor(server.issuer, { clientId: 'demo-web' });
    assert.equal((await revoke(refresh_token, 'demo-web')).status, 401);
    assert.equal((await revoke(refresh_token, 'demo-web', { client_secret: 'wrong' })).status, 401);
  });
});
