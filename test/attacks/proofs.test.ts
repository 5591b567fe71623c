import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import type { Config } from '../../src/config/schema.ts';
import { StoreUnavailable } from '../../src/storage/store.ts';
import { openToAll, register } from '../registration/registering.ts';
import { Browser } from '../support/browser.ts';
import { newHolder, proof } from '../support/dpop.ts';
import { authorizationRequest, exchangeCode, signIn, tokensFor } from '../support/flows.ts';
import { handMade } from '../support/jws.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { storesAround } from '../support/stores-around.ts';

/** More than fit into a budget. */
const FLOOD = 60;

function change(config: Config): Config {
  return {
    ...openToAll()(config),
    listen: { ...config.listen, trusted_proxies: ['127.0.0.1', '::1'] },
    pending_requests: { kib_per_address: 12, kib_total: 512 },
  };
}

describe('Single-use proofs in the store', function () {
  this.timeout(120_000);
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change });
  });
  after(() => server.close());

  const post = (path: string, address: string, parameters: Record<string, string>, headers = {}) =>
    fetch(server.issuer + path, {
      method: 'POST',
      headers: { 'x-forwarded-for': address, ...headers },
      body: new URLSearchParams(parameters),
    });

  /** Sends until no more is taken. @returns how many were */
  async function fill(send: () => Promise<Response>): Promise<number> {
    for (let taken = 0; taken < FLOOD; taken += 1) if ((await send()).status === 429) return taken;
    return assert.fail(`none of ${FLOOD} requests was refused`);
  }

  it('DPoP proofs of refused pushed requests fill only the share of their address', async () => {
    const holder = await newHolder();
    const push = async (parameters: Record<string, string>) => {
      const request = new URL(authorizationRequest(server.issuer, 'demo-notes', parameters).url);
      const dpop = await proof(holder, { htm: 'POST', htu: `${server.issuer}/par` });
      return (address: string, headers = { dpop }) =>
        post('/par', address, Object.fromEntries(request.searchParams), headers);
    };
    const failing = async () => (await push({ dpop_jkt: 'x'.repeat(43) }))('192.0.2.1');
    assert.equal((await failing()).status, 400);
    await fill(failing);
    const refused = await failing();
    assert.equal(refused.headers.get('retry-after'), '360');
    assert.equal(((await refused.json()) as { error?: string }).error, 'temporarily_unavailable');
    const request = await push({});
    assert.equal((await request('192.0.2.1')).status, 429);
    assert.equal((await request('192.0.2.2')).status, 201, 'the same proof from another address');
  });

  it('Assertions of a client that registered itself fill its address’s share, and long-lived ones fill it sooner', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] };
    const { status, body } = await register(server, { token_endpoint_auth_method: 'private_key_jwt', jwks });
    assert.equal(status, 201, JSON.stringify(body));
    const client = String(body['client_id']);
    const flood = (address: string, life: number) =>
      fill(() => {
        const now = Math.floor(Date.now() / 1000);
        const claims = { iss: client, sub: client, aud: server.issuer, jti: randomUUID(), exp: now + life };
        return post('/token', address, {
          grant_type: 'refresh_token',
          refresh_token: 'none',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: handMade({}, claims, privateKey),
        });
      });
    const [short, long] = [await flood('192.0.2.3', 60), await flood('192.0.2.4', 3500)];
    assert.ok(short > 4 * long, `${short} that live a minute, ${long} that live an hour`);
  });

  it('DPoP proofs at the userinfo endpoint fill only the share of their account', async () => {
    const request = authorizationRequest(server.issuer);
    const { body } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request));
    const token = String(body['access_token']);
    const [url, holder] = [`${server.issuer}/userinfo`, await newHolder()];
    const ath = createHash('sha256').update(token).digest('base64url');
    await fill(async () => {
      const dpop = await proof(holder, { htm: 'GET', htu: url, ath });
      return fetch(url, { headers: { authorization: `DPoP ${token}`, dpop } });
    });
  });

  it('A DPoP proof can be used again after the server refused a public client’s token request', async () => {
    const dpop = await proof(await newHolder(), { htm: 'POST', htu: `${server.issuer}/token` });
    const request = authorizationRequest(server.issuer);
    const { body } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request));
    const refresh = {
      grant_type: 'refresh_token',
      client_id: 'demo-notes',
      refresh_token: String(body['refresh_token']),
    };
    const ask = async (more = {}) => (await post('/token', '192.0.2.5', { ...refresh, ...more }, { dpop })).status;
    assert.equal(await ask({ resource: 'https://elsewhere.example' }), 400);
    assert.equal(await ask(), 200);
    assert.equal(await ask(), 400, 'used');
  });

  it('A DPoP proof stays used after a token request failed halfway', async () => {
    let isAway = false;
    const { openStores } = storesAround((call, verb, [key]) =>
      isAway && verb === 'replace' && String(key).startsWith('refresh-token:')
        ? Promise.reject(new StoreUnavailable('no answer'))
        : call(),
    );
    await using failing = await startTestServer({ openStores });
    const { refresh_token = '' } = await tokensFor(failing.issuer);
    const dpop = await proof(await newHolder(), { htm: 'POST', htu: `${failing.issuer}/token` });
    const ask = async () => {
      const body = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'demo-notes', refresh_token });
      return (await fetch(`${failing.issuer}/token`, { method: 'POST', headers: { dpop }, body })).status;
    };
    isAway = true;
    assert.equal(await ask(), 503);
    isAway = false;
    assert.equal(await ask(), 400);
  });
});
