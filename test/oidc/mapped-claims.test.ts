import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { travel, returnToPresent } from '../support/clock.ts';
import { ADMIN, tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';
import { withAccount } from './behind-the-server.ts';

const SECRET = 'the-secret-of-an-api-that-introspects';

/** As Grafana and Argo CD want it of an app, and an API that asks about its tokens. */
function withClaims(config: Config): Config {
  const api = config.resources[0]?.identifier ?? '';
  const service = config.clients.find(({ client_id: id }) => id === 'demo-service');
  assert.ok(service !== undefined);
  const claims: Record<string, ClientConfig['claims']> = {
    'demo-web': {
      groups: { from: 'roles' },
      login: { from: 'email', in: ['userinfo'] },
      'https://example.com/tenant': { value: 'acme', in: ['id_token', 'access_token'] },
      uid: { from: 'sub', in: ['introspection'] },
    },
    'demo-notes': { groups: { from: 'roles' }, team: { value: ['blue', 'red'] } },
    'demo-service': { tenant: { value: 'acme' } },
  };
  return {
    ...config,
    clients: [
      ...config.clients.map((client) => {
        const own = claims[client.client_id];
        return own === undefined ? client : { ...client, claims: own };
      }),
      {
        ...service,
        client_id: 'notes-api',
        secret: new Secret(SECRET),
        introspection: [api],
      },
    ],
    resources: config.resources.map((one) => ({
      ...one,
      claims: {
        groups: { from: 'roles' },
        mail: { from: 'email', in: ['introspection'] },
        stage: { value: 'production', in: ['access_token', 'introspection'] },
      },
    })),
  };
}

describe('Account claims and mapped claims', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withClaims });
  });
  after(() => server.close());
  afterEach(returnToPresent);

  const tokensOf = (clientId: string, scope: string, more: object = {}): Promise<Record<string, string>> =>
    tokensFor(server.issuer, { clientId, parameters: { scope }, ...more });
  const idToken = (given: Record<string, string>): Record<string, unknown> => decodeJwt(given['id_token'] ?? '');
  const userinfo = async ({ access_token: token = '' }: Record<string, string>): Promise<Record<string, unknown>> => {
    const response = await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } });
    return (await response.json()) as Record<string, unknown>;
  };
  async function introspect(basic: string, token = ''): Promise<Record<string, unknown>> {
    const response = await fetch(`${server.issuer}/introspect`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(basic).toString('base64')}` },
      body: new URLSearchParams({ token }),
    });
    return (await response.json()) as Record<string, unknown>;
  }
  const WEB = 'demo-web:demo-web-secret';
  const API = `notes-api:${SECRET}`;

  it('The profile scope gives preferred_username and updated_at', async () => {
    const given = await tokensOf('demo-photos', 'openid profile');
    for (const claims of [idToken(given), await userinfo(given)]) {
      assert.equal(claims['preferred_username'], 'alice@example.com');
      assert.equal(claims['email'], undefined);
      assert.ok(Math.abs(Number(claims['updated_at']) - Date.now() / 1000) < 600, String(claims['updated_at']));
    }
    const without = idToken(await tokensOf('demo-photos', 'openid email'));
    assert.deepEqual([without['preferred_username'], without['updated_at']], [undefined, undefined]);
  });

  it('The updated_at claim changes with the account, and not if the same values are saved again', async () => {
    const updatedAt = async () => Number(idToken(await tokensOf('demo-photos', 'openid profile'))['updated_at']);
    const before = await updatedAt();
    travel(3600);
    await withAccount(server, 'alice@example.com', (accounts, { id }) => accounts.setRoles(id, ['user', 'reader']));
    const changed = await updatedAt();
    assert.ok(changed >= before + 3600, `${changed} after ${before}`);
    travel(7200);
    await withAccount(server, 'alice@example.com', (accounts, { id }) => accounts.setRoles(id, ['user', 'reader']));
    assert.equal(await updatedAt(), changed);
    await withAccount(server, 'alice@example.com', (accounts, { id }) => accounts.setRoles(id, ['user']));
  });

  it('A mapped claim appears where the operator puts it, once the scope of its source is granted', async () => {
    const given = await tokensOf('demo-web', 'openid profile roles', { person: ADMIN });
    const [id, info] = [idToken(given), await userinfo(given)];
    assert.deepEqual(id['groups'], ['user', 'admin']);
    assert.deepEqual(info['groups'], ['user', 'admin']);
    assert.equal(id['https://example.com/tenant'], 'acme');
    assert.equal(info['https://example.com/tenant'], undefined);
    // The person has not granted the scope email to this app of somebody else's.
    assert.deepEqual([id['login'], info['login']], [undefined, undefined]);
    assert.equal((await userinfo(await tokensOf('demo-web', 'openid email')))['login'], 'alice@example.com');
    assert.equal(idToken(await tokensOf('demo-web', 'openid'))['groups'], undefined);
  });

  it('A first-party client receives mapped claims without a scope', async () => {
    const { first_party: isOurs } = server.config.clients.find(({ client_id: id }) => id === 'demo-notes') ?? {};
    assert.equal(isOurs, true);
    const id = idToken(await tokensOf('demo-notes', 'openid'));
    assert.deepEqual([id['groups'], id['team']], [['user'], ['blue', 'red']]);
  });

  it('An access token contains the mapped claims of its API and its client, for machines too', async () => {
    const web = decodeJwt((await tokensOf('demo-web', 'openid roles notes:read'))['access_token'] ?? '');
    assert.deepEqual(
      [web['groups'], web['stage'], web['https://example.com/tenant']],
      [['user'], 'production', 'acme'],
    );
    assert.equal(web['mail'], undefined);
    const bare = decodeJwt((await tokensOf('demo-web', 'openid notes:read'))['access_token'] ?? '');
    assert.deepEqual([bare['groups'], bare['stage']], [undefined, 'production']);
    const parameters = { grant_type: 'client_credentials', resource: apiOf(server.issuer) };
    const { body } = await tokenRequest(server.issuer, parameters, 'demo-service:demo-service-secret');
    const machine = decodeJwt(String(body['access_token']));
    assert.deepEqual([machine['tenant'], machine['stage'], machine['groups']], ['acme', 'production', undefined]);
  });

  it('The API receives the username and its mapped claims by introspection', async () => {
    const given = await tokensOf('demo-web', 'openid notes:read');
    const told = await introspect(API, given['access_token']);
    assert.equal(told['active'], true, JSON.stringify(told));
    assert.deepEqual(
      [told['username'], told['mail'], told['groups']],
      ['alice@example.com', 'alice@example.com', undefined],
    );
    assert.equal(told['uid'], idToken(given)['sub']);
    assert.equal(told['email'], undefined);
  });

  it('The client receives by introspection the claims that the scopes of its token allow', async () => {
    const bare = await introspect(WEB, (await tokensOf('demo-web', 'openid'))['access_token']);
    assert.deepEqual([bare['active'], bare['username'], bare['email']], [true, undefined, undefined]);
    const named = await introspect(WEB, (await tokensOf('demo-web', 'openid profile'))['access_token']);
    assert.deepEqual([named['username'], named['email']], ['alice@example.com', undefined]);
    const addressed = await tokensOf('demo-web', 'openid email offline_access');
    for (const token of [addressed['access_token'], addressed['refresh_token']]) {
      const told = await introspect(WEB, token);
      assert.deepEqual([told['username'], told['email']], ['alice@example.com', 'alice@example.com']);
    }
    const forApi = await introspect(WEB, (await tokensOf('demo-web', 'openid email notes:read'))['access_token']);
    assert.deepEqual([forApi['active'], forApi['username'], forApi['mail']], [true, undefined, undefined]);
  });

  it('The metadata lists the supported claims', async () => {
    const response = await fetch(`${server.issuer}/.well-known/openid-configuration`);
    const { claims_supported: names } = (await response.json()) as { claims_supported: string[] };
    for (const name of ['preferred_username', 'updated_at', 'groups', 'login', 'team', 'https://example.com/tenant'])
      assert.ok(names.includes(name), name);
    assert.ok(!names.includes('uid') && !names.includes('tenant'));
  });
});
