import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import {
  ADMIN,
  ALICE,
  authorizationRequest,
  exchangeCode,
  refresh,
  signIn,
  tokenRequest,
  tokensFor,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';
import { withAccount } from './behind-the-server.ts';

/** A scope that only admins may receive, an app that is not registered for reading, and one that is for nothing else. */
function withAdminScope(config: Config): Config {
  return {
    ...config,
    resources: config.resources.map((resource) => ({
      ...resource,
      scopes: { ...resource.scopes, 'notes:admin': { description: 'Manage all notes', roles: ['admin'] } },
    })),
    clients: [
      ...config.clients.map((client) => ({
        ...client,
        scopes:
          client.client_id === 'demo-photos'
            ? ['openid', 'notes:admin']
            : client.client_id === 'demo-service'
              ? ['notes:read']
              : [...client.scopes, 'notes:admin'],
      })),
      ...config.clients
        .filter(({ client_id }) => client_id === 'demo-notes')
        .map((client) => ({ ...client, client_id: 'api-only', scopes: ['notes:read'] })),
    ],
  };
}

describe('Least privilege', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withAdminScope });
  });
  after(() => server.close());

  const everything = { scope: 'openid notes:read notes:admin' };

  async function scopesIn(token: unknown): Promise<unknown[]> {
    const { claims } = await verified(server.issuer, String(token), apiOf(server.issuer));
    return [claims['scope'], claims['roles']];
  }

  it('Each person receives only the scopes that their roles allow', async () => {
    const ofAlice = await tokensFor(server.issuer, { parameters: everything });
    assert.deepEqual(await scopesIn(ofAlice['access_token']), ['notes:read', ['user']]);
    assert.equal(ofAlice['scope'], 'notes:read');
    const ofAdmin = await tokensFor(server.issuer, { person: ADMIN, parameters: everything });
    assert.deepEqual(await scopesIn(ofAdmin['access_token']), ['notes:read notes:admin', ['user', 'admin']]);
  });

  it('Each client receives only the scopes that it is registered for', async () => {
    const { access_token } = await tokensFor(server.issuer, {
      person: ADMIN,
      clientId: 'demo-photos',
      parameters: { scope: 'openid profile notes:admin' },
    });
    assert.deepEqual(await scopesIn(access_token), ['notes:admin', ['user', 'admin']]);
  });

  it('The error names the API scope that the client is not registered for', async () => {
    const request = authorizationRequest(server.issuer, 'demo-photos', everything);
    const answer = new URL((await new Browser().visit(request.url, {}, request.redirectUri)).url).searchParams;
    assert.equal(answer.get('error'), 'invalid_scope');
    assert.match(answer.get('error_description') ?? '', /not registered for the scope notes:read/);
  });

  it('A client that is registered only for API scopes receives no identity scopes', async () => {
    for (const scope of ['openid', 'profile', 'email', 'roles']) {
      const request = authorizationRequest(server.issuer, 'api-only', { scope, nonce: '' });
      const answer = await new Browser().visit(request.url, {}, request.redirectUri);
      assert.equal(new URL(answer.url).searchParams.get('error'), 'invalid_scope', scope);
    }
    const asMachine = { grant_type: 'client_credentials', scope: 'openid email' };
    const { body } = await tokenRequest(server.issuer, asMachine, 'demo-service:demo-service-secret');
    assert.equal(body['error'], 'invalid_scope');
    const parameters = { scope: 'notes:read', nonce: '' };
    const tokens = await tokensFor(server.issuer, { clientId: 'api-only', parameters });
    const mixed = { scope: 'profile notes:read', nonce: '' };
    assert.equal((await tokensFor(server.issuer, { clientId: 'api-only', parameters: mixed }))['scope'], 'notes:read');
    assert.deepEqual([tokens['scope'], tokens['id_token']], ['notes:read', undefined]);
  });

  it('A third-party app receives the roles only if it requests them and the person allows it', async () => {
    const rolesFor = async (scope: string): Promise<unknown> => {
      const parameters = { scope, resource: apiOf(server.issuer) };
      const { access_token } = await tokensFor(server.issuer, { person: ADMIN, clientId: 'demo-web', parameters });
      return (await scopesIn(access_token))[1];
    };
    assert.equal(await rolesFor('openid'), undefined);
    assert.equal(await rolesFor('openid notes:read'), undefined);
    assert.deepEqual(await rolesFor('openid roles'), ['user', 'admin']);
    // What was allowed stays, and still is not given to who does not ask for it.
    assert.equal(await rolesFor('openid notes:read'), undefined);
  });

  it('The granted scopes follow the person who signs in, not the one who was signed in before', async () => {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer), ADMIN);
    const parameters = { ...everything, prompt: 'login' };
    const { access_token } = await tokensFor(server.issuer, { browser, person: ALICE, parameters });
    assert.deepEqual(await scopesIn(access_token), ['notes:read', ['user']]);
  });

  it('A machine receives its registered scopes and no roles', async () => {
    const ask = (scope: string) =>
      tokenRequest(server.issuer, { grant_type: 'client_credentials', scope }, 'demo-service:demo-service-secret');
    assert.deepEqual(await scopesIn((await ask('notes:read')).body['access_token']), ['notes:read', undefined]);
    const { status, body } = await ask('notes:read notes:admin');
    assert.deepEqual([status, body['error']], [400, 'invalid_scope']);
    assert.match(String(body['error_description']), /not registered for the scope notes:admin/);
  });

  describe('After a role is removed', () => {
    afterEach(() => withAccount(server, ADMIN.email, (accounts, { id }) => accounts.setRoles(id, ['user', 'admin'])));

    it('A refresh loses the scopes of a removed role, and regains them with the role', async () => {
      const first = await tokensFor(server.issuer, { person: ADMIN, parameters: everything });
      await withAccount(server, ADMIN.email, (accounts, { id }) => accounts.setRoles(id, ['user']));
      const { body: second } = await refresh(server.issuer, first['refresh_token']);
      assert.deepEqual(await scopesIn(second['access_token']), ['notes:read', ['user']]);
      assert.equal(second['scope'], 'notes:read');
      await withAccount(server, ADMIN.email, (accounts, { id }) => accounts.setRoles(id, ['admin', 'user']));
      const { body: third } = await refresh(server.issuer, String(second['refresh_token']));
      assert.deepEqual(await scopesIn(third['access_token']), ['notes:read notes:admin', ['admin', 'user']]);
    });

    it('A code that was issued before loses the scopes of a removed role', async () => {
      const request = authorizationRequest(server.issuer, 'demo-notes', everything);
      const callback = await signIn(new Browser(), request, ADMIN);
      await withAccount(server, ADMIN.email, (accounts, { id }) => accounts.setRoles(id, ['user']));
      const { body } = await exchangeCode(server.issuer, request, callback);
      assert.deepEqual(await scopesIn(body['access_token']), ['notes:read', ['user']]);
    });
  });

  describe('With a disabled account', () => {
    afterEach(() => withAccount(server, ALICE.email, (accounts, { id }) => accounts.enable(id)));

    it('A disabled account receives nothing: no sign-in, tokens, refresh, userinfo, introspection or single sign-on', async () => {
      const browser = new Browser();
      const tokens = await tokensFor(server.issuer, { browser });
      const request = authorizationRequest(server.issuer);
      const callback = await signIn(browser, request);
      await withAccount(server, ALICE.email, (accounts, { id }) => accounts.disable(id));

      const exchanged = await exchangeCode(server.issuer, request, callback);
      assert.deepEqual([exchanged.status, exchanged.body['error']], [400, 'invalid_grant']);
      const refreshed = await refresh(server.issuer, tokens['refresh_token']);
      assert.deepEqual([refreshed.status, refreshed.body['error']], [400, 'invalid_grant']);
      const headers = { authorization: `Bearer ${String(tokens['access_token'])}` };
      assert.equal((await fetch(`${server.issuer}/userinfo`, { headers })).status, 401);
      for (const token of [tokens['access_token'], tokens['refresh_token']]) {
        const answer = await fetch(`${server.issuer}/introspect`, {
          method: 'POST',
          body: new URLSearchParams({ token: String(token) }),
          headers: { authorization: `Basic ${Buffer.from('demo-web:demo-web-secret').toString('base64')}` },
        });
        assert.deepEqual(await answer.json(), { active: false });
      }

      const page = await browser.visit(authorizationRequest(server.issuer).url, {}, request.redirectUri);
      assert.match(page.html, /type="password"/);
      assert.equal((await browser.submit(page, ALICE)).status, 401);
    });
  });
});
