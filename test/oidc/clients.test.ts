import assert from 'node:assert/strict';
import { hashClientSecret, originsOf, type Client } from '../../src/clients/clients.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { keyspace, type Store } from '../../src/storage/store.ts';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, signIn, tokenRequest, type TokenAnswer } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';
import { recordsOf } from './behind-the-server.ts';

const clientKey = keyspace<Client>('client');
const SECRET = 'made-by-an-operator-0123456789';

const common: Omit<Client, 'client_id' | 'client_name' | 'type' | 'scopes' | 'resources'> = {
  redirect_uris: [],
  post_logout_redirect_uris: [],
  allowed_origins: [],
  first_party: true,
  id_token_signing_alg: 'ES256',
  introspection: false,
};

describe('Clients in the store', () => {
  let server: TestServer;
  let records: Store;
  before(async () => {
    server = await startTestServer();
    records = await recordsOf(server);
  });
  after(async () => {
    await records.close();
    await server.close();
  });

  const machine = (client_id: string): Client => ({
    ...common,
    client_id,
    client_name: 'Stored machine',
    type: 'machine',
    secret_hash: hashClientSecret(SECRET, systemRandom),
    scopes: ['notes:read'],
    resources: [apiOf(server.issuer)],
    default_resource: apiOf(server.issuer),
  });

  const ask = (basic: string): Promise<TokenAnswer> =>
    tokenRequest(server.issuer, { grant_type: 'client_credentials', scope: 'notes:read' }, basic);

  it('A stored client receives tokens without a restart, until it is deleted', async () => {
    assert.equal((await ask(`stored:${SECRET}`)).status, 401);
    await records.set(clientKey('stored'), machine('stored'));
    const { status, body } = await ask(`stored:${SECRET}`);
    assert.equal(status, 200);
    await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    await records.delete(clientKey('stored'));
    assert.equal((await ask(`stored:${SECRET}`)).status, 401);
  });

  it('A changed client record takes effect at once', async () => {
    await records.set(clientKey('changing'), machine('changing'));
    assert.equal((await ask(`changing:${SECRET}`)).status, 200);
    await records.set(clientKey('changing'), {
      ...machine('changing'),
      secret_hash: hashClientSecret('another', systemRandom),
    });
    assert.equal((await ask(`changing:${SECRET}`)).status, 401);
    assert.equal((await ask('changing:another')).status, 200);
  });

  it('A short secret of an earlier version still authenticates its client', async () => {
    await records.set(clientKey('early'), { ...machine('early'), secret_hash: hashClientSecret('abc', systemRandom) });
    assert.equal((await ask('early:abc')).status, 200);
  });

  it('A stored app can sign people in', async () => {
    const app: Client = {
      ...common,
      client_id: 'stored-app',
      client_name: 'Stored app',
      type: 'spa',
      redirect_uris: ['https://stored.example/callback'],
      scopes: ['openid'],
      resources: [],
    };
    await records.set(clientKey('stored-app'), app);
    const parameters = { redirect_uri: 'https://stored.example/callback', scope: 'openid' };
    const request = authorizationRequest(server.issuer, 'stored-app', parameters);
    const { status } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request));
    assert.equal(status, 200);
  });

  it('A stored client cannot replace a client of the configuration with the same id', async () => {
    await records.set(clientKey('demo-service'), machine('demo-service'));
    assert.equal((await ask(`demo-service:${SECRET}`)).status, 401);
    assert.equal((await ask('demo-service:demo-service-secret')).status, 200);
  });

  it('The store holds no client secret, and the stored hash does not authenticate', async () => {
    const client = machine('stolen');
    await records.set(clientKey('stolen'), client);
    const stolen = JSON.stringify(await records.get(clientKey('stolen')));
    assert.ok(!stolen.includes(SECRET));
    const [salt, hash] = (client.secret_hash ?? '').split('.');
    for (const secret of [client.secret_hash, salt, hash])
      assert.equal((await ask(`stolen:${String(secret)}`)).status, 401);
  });
});

describe('The origins of a client', () => {
  it('The origins of a client include listed ones and those of http redirect URIs, but no custom schemes', () => {
    const client: Client = {
      ...common,
      client_id: 'app',
      client_name: 'App',
      type: 'spa',
      scopes: ['openid'],
      resources: [],
      allowed_origins: ['https://listed.example'],
      redirect_uris: [
        'https://app.example:8443/callback?x=1',
        'com.example.app:/callback',
        'https://app.example:8443/silent',
      ],
    };
    assert.deepEqual([...originsOf(client)], ['https://listed.example', 'https://app.example:8443']);
  });
});
