import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, refresh, signIn, tokenRequest } from '../support/flows.ts';
import { apiOf } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { isRevoked, placeOf } from '../status/published-lists.ts';
import { openToAll, REDIRECT, register, send, type Answer } from './registering.ts';

const MOVED = 'https://app.example/moved';

describe('Registration management', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: openToAll({ max_per_hour: 10_000 }) });
  });
  after(() => server.close());

  interface Own {
    readonly id: string;
    readonly secret: unknown;
    ask(method: string, body?: unknown, token?: unknown): Promise<Answer>;
  }

  async function ownClient(metadata: object = {}): Promise<Own> {
    const { body } = await register(server, metadata);
    const [url, own] = [String(body['registration_client_uri']), body['registration_access_token']];
    return {
      id: String(body['client_id']),
      secret: body['client_secret'],
      ask: (method, sent, token = own) => send(url, { method, token, ...(sent !== undefined && { body: sent }) }),
    };
  }

  /** Whether the token endpoint knows the client by this secret: then it is the code alone that is wrong. */
  async function isKnownBy(client: Own, secret: unknown): Promise<boolean> {
    const { body } = await tokenRequest(
      server.issuer,
      { grant_type: 'authorization_code', code: 'x', redirect_uri: REDIRECT },
      `${client.id}:${String(secret)}`,
    );
    return body['error'] === 'invalid_grant';
  }

  const update = (client: Own, metadata: object): object => ({
    client_id: client.id,
    redirect_uris: [MOVED],
    ...metadata,
  });

  it('A client can read its registration, but not its secret', async () => {
    const client = await ownClient({ client_name: 'Shop' });
    const { status, body, headers } = await client.ask('GET');
    assert.deepEqual([status, body['client_name'], body['redirect_uris']], [200, 'Shop', [REDIRECT]]);
    assert.match(String(body['registration_access_token']), /^[\w-]{43}$/);
    assert.deepEqual(
      Object.keys(body).filter((name) => /secret|hash|policy|registration$/.test(name)),
      [],
    );
    assert.equal(headers.get('cache-control'), 'no-store');
  });

  it('PUT replaces the whole registration, but keeps the id, the secret and the registration access token', async () => {
    const client = await ownClient({ client_name: 'Shop', client_uri: 'https://app.example' });
    const { status, body } = await client.ask(
      'PUT',
      update(client, { client_name: 'Store', logo_uri: null, tos_uri: '' }),
    );
    assert.equal(status, 200, JSON.stringify(body));
    const { body: now } = await client.ask('GET');
    for (const shown of [body, now]) {
      assert.deepEqual([shown['client_id'], shown['redirect_uris']], [client.id, [MOVED]]);
      assert.deepEqual(
        [shown['client_name'], shown['client_uri'], shown['client_secret']],
        ['Store', undefined, undefined],
      );
    }
    assert.equal(await isKnownBy(client, client.secret), true);
  });

  it('Tokens and refreshes lose a scope for which the client is no longer registered', async () => {
    const grants = { grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'none' };
    const client = await ownClient({ ...grants, scope: 'openid email' });
    const request = authorizationRequest(server.issuer, client.id, { redirect_uri: REDIRECT, scope: 'openid email' });
    const { body: first } = await exchangeCode(server.issuer, request, await signIn(new Browser(), request));
    assert.equal(first['scope'], 'openid email');
    assert.equal((await client.ask('PUT', update(client, { ...grants, scope: 'openid' }))).status, 200);
    const next = await refresh(server.issuer, String(first['refresh_token']), { client_id: client.id });
    assert.equal(next.body['scope'], 'openid');
    for (const { access_token: token } of [first, next.body]) {
      const answer = await fetch(`${server.issuer}/userinfo`, {
        headers: { authorization: `Bearer ${String(token)}` },
      });
      const person = (await answer.json()) as Record<string, unknown>;
      assert.deepEqual([answer.status, Object.keys(person)], [200, ['sub']]);
    }
  });

  it('A client can send its own secret in an update, but no other secret', async () => {
    const client = await ownClient();
    assert.equal((await client.ask('PUT', update(client, { client_secret: client.secret }))).status, 200);
    for (const secret of ['x', 'x'.repeat(43), 1, {}]) {
      const { status, body } = await client.ask('PUT', update(client, { client_secret: secret }));
      assert.deepEqual([status, body['error']], [400, 'invalid_request']);
    }
    assert.equal(await isKnownBy(client, client.secret), true);
  });

  it('A client gets a secret once it needs one, and loses it once it needs none', async () => {
    const client = await ownClient({ token_endpoint_auth_method: 'none' });
    const { body } = await client.ask('PUT', update(client, { token_endpoint_auth_method: 'client_secret_post' }));
    assert.match(String(body['client_secret']), /^[\w-]{43}$/);
    assert.equal(await isKnownBy(client, body['client_secret']), true);
    const { body: again } = await client.ask('PUT', update(client, { token_endpoint_auth_method: 'none' }));
    assert.deepEqual([again['client_secret'], again['token_endpoint_auth_method']], [undefined, 'none']);
    assert.equal(await isKnownBy(client, body['client_secret']), false);
  });

  it('An update is refused for the same reasons as a new registration, and then changes nothing', async () => {
    const client = await ownClient();
    for (const [metadata, error] of [
      [{ redirect_uris: ['https://*.example/'] }, 'invalid_redirect_uri'],
      [{ logo_uri: 'javascript:alert(1)' }, 'invalid_client_metadata'],
      [{ client_id: 'demo-notes' }, 'invalid_request'],
      [{ client_id: undefined }, 'invalid_request'],
      [{ registration_access_token: 'x' }, 'invalid_request'],
      [{ registration_client_uri: 'x' }, 'invalid_request'],
      [{ client_secret_expires_at: 0 }, 'invalid_request'],
      [{ client_id_issued_at: 0 }, 'invalid_request'],
    ] as const) {
      const { status, body } = await client.ask('PUT', update(client, metadata));
      assert.deepEqual([status, body['error']], [400, error], JSON.stringify(metadata));
    }
    assert.deepEqual((await client.ask('GET')).body['redirect_uris'], [REDIRECT]);
  });

  it('The server deletes a client with its secret and its registration access token', async () => {
    const client = await ownClient();
    assert.equal((await client.ask('DELETE')).status, 204);
    for (const method of ['GET', 'DELETE']) assert.equal((await client.ask(method)).status, 401, method);
    assert.equal((await client.ask('PUT', update(client, {}))).status, 401);
    assert.equal(await isKnownBy(client, client.secret), false);
  });

  it('The deletion of a client revokes its access tokens, which APIs soon refuse', async () => {
    const scopes = ['openid', 'notes:read'];
    const change = (config: Config): Config => openToAll({ scopes, resources: [apiOf(config.issuer)] })(config);
    await using other = await startTestServer({ change });
    const scope = scopes.join(' ');
    const { body: own } = await register(other, { scope, token_endpoint_auth_method: 'none' });
    const clientId = String(own['client_id']);
    const request = authorizationRequest(other.issuer, clientId, { redirect_uri: REDIRECT, scope });
    const { body } = await exchangeCode(other.issuer, request, await signIn(new Browser(), request));
    const place = placeOf(body['access_token']);
    assert.equal(await isRevoked(place), false);
    const token = own['registration_access_token'];
    assert.equal((await send(String(own['registration_client_uri']), { method: 'DELETE', token })).status, 204);
    await until(() => isRevoked(place));
  });

  it('An update that is concurrent with the deletion of a client does not restore the client', async () => {
    for (let round = 0; round < 5; round += 1) {
      const client = await ownClient();
      await Promise.all([
        client.ask('PUT', update(client, {})),
        client.ask('DELETE'),
        client.ask('PUT', update(client, {})),
      ]);
      assert.equal((await client.ask('GET')).status, 401);
    }
  });

  it('No registration access token or secret gives access to another client’s registration', async () => {
    const [own, other] = [await ownClient(), await ownClient()];
    const ownToken = (await own.ask('GET')).body['registration_access_token'];
    for (const token of [ownToken, 'x', '', undefined, String(other.secret), 'A'.repeat(43)]) {
      for (const [method, body] of [['GET'], ['PUT', update(other, {})], ['DELETE']] as const) {
        const answer = await send(`${server.issuer}/register/${other.id}`, { method, token, ...(body && { body }) });
        assert.deepEqual([answer.status, answer.body['error']], [401, 'invalid_token'], `${method} ${String(token)}`);
      }
    }
    assert.equal((await other.ask('GET')).status, 200);
  });

  it('A registration access token gets the same answer for an operator’s client as for an unknown one', async () => {
    const own = await ownClient();
    const token = (await own.ask('GET')).body['registration_access_token'];
    const answers = await Promise.all(
      ['demo-notes', 'demo-web', 'nobody', '__proto__', '..%2Fregister', `${own.id}%00`].map((id) =>
        send(`${server.issuer}/register/${id}`, { method: 'GET', token }),
      ),
    );
    for (const { status, body } of answers) assert.deepEqual([status, body], [401, answers[0]?.body]);
  });

  it('The registration endpoints answer 405 with the allowed methods', async () => {
    const allowed = async (path: string, method: string): Promise<unknown> => {
      const response = await fetch(`${server.issuer}${path}`, { method });
      return [response.status, response.headers.get('allow')];
    };
    assert.deepEqual(await allowed('/register', 'GET'), [405, 'POST, OPTIONS']);
    assert.deepEqual(await allowed('/register/x', 'POST'), [405, 'GET, HEAD, PUT, DELETE, OPTIONS']);
  });
});
