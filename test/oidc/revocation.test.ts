import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, SignJWT, UnsecuredJWT } from 'jose';
import { systemClock } from '../../src/lib/clock.ts';
import { revoker, type Revoker } from '../../src/status/revoker.ts';
import type { Store } from '../../src/storage/store.ts';
import { isRevoked, placeOf } from '../status/published-lists.ts';
import { refresh, tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { recordsOf } from './behind-the-server.ts';

describe('Revocation', () => {
  let server: TestServer;
  let grants: Store;
  let status: Revoker;
  before(async () => {
    server = await startTestServer();
    grants = await recordsOf(server);
    status = revoker({ grants, clock: systemClock, issuer: server.issuer });
  });
  after(async () => {
    await grants.close();
    await server.close();
  });

  async function machineToken(): Promise<string> {
    const basic = 'demo-service:demo-service-secret';
    const { body } = await tokenRequest(server.issuer, { grant_type: 'client_credentials' }, basic);
    return String(body['access_token']);
  }

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

  it('The revocation of a refresh token ends its family and its access tokens', async () => {
    const first = await tokensFor(server.issuer);
    const { body: second } = await refresh(server.issuer, first['refresh_token']);
    assert.equal((await revoke(String(second['refresh_token']))).status, 200);
    assert.equal((await refresh(server.issuer, String(second['refresh_token']))).status, 400);
    assert.equal(await userinfo(first['access_token']), 401);
    assert.equal(await userinfo(String(second['access_token'])), 401);
  });

  it('The revocation of an access token ends only that token, even with a wrong hint', async () => {
    const { access_token, refresh_token } = await tokensFor(server.issuer);
    const { body: next } = await refresh(server.issuer, refresh_token);
    assert.equal((await revoke(access_token, 'demo-notes', { token_type_hint: 'refresh_token' })).status, 200);
    assert.equal(await userinfo(access_token), 401);
    assert.equal(await userinfo(String(next['access_token'])), 200);
    assert.equal((await refresh(server.issuer, String(next['refresh_token']))).status, 200);
  });

  const FOR_API = { parameters: { scope: 'openid notes:read' } };

  it('The revocation of a JWT access token appears in the status list, and can be repeated', async () => {
    const { access_token, refresh_token } = await tokensFor(server.issuer, FOR_API);
    const { body: next } = await refresh(server.issuer, refresh_token);
    for (const hint of ['access_token', 'refresh_token', 'nonsense'])
      assert.equal((await revoke(access_token, 'demo-notes', { token_type_hint: hint })).status, 200);
    await until(() => isRevoked(placeOf(access_token)));
    assert.equal(await isRevoked(placeOf(next['access_token'])), false);
    assert.equal((await refresh(server.issuer, String(next['refresh_token']))).status, 200);
  });

  it('The revocation of a refresh token revokes the JWT access tokens of its grant', async () => {
    const { access_token, refresh_token } = await tokensFor(server.issuer, FOR_API);
    const elsewhere = await tokensFor(server.issuer, FOR_API);
    await revoke(refresh_token);
    await until(() => isRevoked(placeOf(access_token)));
    assert.equal(await isRevoked(placeOf(elsewhere['access_token'])), false);
  });

  it("The revocation of a machine's token ends only that token", async () => {
    const [given, kept] = await Promise.all([machineToken(), machineToken()]);
    const secret = { client_secret: 'demo-service-secret' };
    assert.equal((await revoke(given, 'demo-service', secret)).status, 200);
    await until(() => isRevoked(placeOf(given)));
    assert.equal(await isRevoked(placeOf(kept)), false);
  });

  it('The revocation of a forged JWT revokes nothing', async () => {
    const { access_token = '' } = await tokensFor(server.issuer, FOR_API);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const theirs = placeOf(await machineToken());
    const claims = { ...decodeJwt(access_token), status: { status_list: theirs } };
    const { kid = '' } = decodeProtectedHeader(access_token);
    const forged = [
      await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid }).sign(privateKey),
      new UnsecuredJWT(claims).encode(),
      `${access_token}x`,
      'x'.repeat(50_000),
    ];
    for (const token of forged) assert.equal((await revoke(token)).status, 200);
    for (const place of [theirs, placeOf(access_token)]) assert.equal(await status.isRevoked(place), false);
  });

  it('The revocation of an unknown token succeeds (RFC 7009 §2.2)', async () => {
    assert.equal((await revoke('x'.repeat(43))).status, 200);
  });

  it("The revocation of another client's token succeeds and changes nothing", async () => {
    const { access_token, refresh_token } = await tokensFor(server.issuer);
    const jwt = (await tokensFor(server.issuer, FOR_API))['access_token'];
    for (const token of [access_token, refresh_token, jwt])
      assert.equal((await revoke(token, 'demo-photos')).status, 200, 'it does not learn that the token is good');
    assert.equal(await userinfo(access_token), 200);
    assert.equal(await status.isRevoked(placeOf(jwt)), false);
    assert.equal((await refresh(server.issuer, refresh_token)).status, 200);
  });

  it('The revocation endpoint requires the secret of a confidential client', async () => {
    const { refresh_token = '' } = await tokensFor(server.issuer, { clientId: 'demo-web' });
    assert.equal((await revoke(refresh_token, 'demo-web')).status, 401);
    assert.equal((await revoke(refresh_token, 'demo-web', { client_secret: 'wrong' })).status, 401);
  });
});
