import assert from 'node:assert/strict';
import { createNotesApi } from '../../src/demo/notes-api.ts';
import type { NotesApi } from '../../src/demo/notes-api.ts';
import { startIssuer } from '../resource-server/issuer.ts';
import type { Issuer } from '../resource-server/issuer.ts';
import { serve } from '../resource-server/serving.ts';
import type { Serving } from '../resource-server/serving.ts';

const AUDIENCE = 'http://localhost:3003';
const ORIGINS = ['http://localhost:3001', 'http://localhost:3002'];
/** The year 2096: the API goes by the machine's clock. */
const LATER = 4_000_000_000;

describe('The API of the demo', () => {
  let issuer: Issuer;
  let notesApi: NotesApi;
  let api: Serving;

  before(async () => {
    issuer = await startIssuer();
    notesApi = createNotesApi({ issuer: issuer.url, audience: AUDIENCE, origins: ORIGINS });
    api = await serve(notesApi);
  });
  after(async () => {
    notesApi.close();
    await api.close();
    await issuer.close();
  });

  async function call(
    path: string,
    claims: Record<string, unknown> = {},
    headers: Record<string, string> = {},
  ): Promise<Response> {
    const token = await issuer.token({ aud: AUDIENCE, exp: LATER, ...claims });
    return fetch(api.url + path, { headers: { authorization: `Bearer ${token}`, ...headers } });
  }

  it('The demo’s API returns the claims of a valid token', async () => {
    const response = await call('/me', { scope: 'openid' });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.deepEqual(await response.json(), {
      sub: 'account-1',
      roles: ['user'],
      scope: 'openid',
      client_id: 'demo-notes',
    });
  });

  it('The demo’s API returns a person’s notes to a token with the scope notes:read', async () => {
    const response = await call('/notes', { sub: 'account-7', scope: 'notes:read' });
    const body: unknown = await response.json();
    assert.ok(
      typeof body === 'object' && body !== null && 'owner' in body && 'notes' in body && Array.isArray(body.notes),
    );
    assert.deepEqual([response.status, body.owner, body.notes.length], [200, 'account-7', 3]);
  });

  it('The demo’s API refuses the notes to a token without the scope, and names the scope', async () => {
    const response = await call('/notes', { scope: 'openid profile', roles: ['user', 'admin'] });
    assert.equal(response.status, 403);
    assert.match(response.headers.get('www-authenticate') ?? '', /error="insufficient_scope".*, scope="notes:read",/);
  });

  it('The demo’s API requires the role admin for /admin', async () => {
    const refused = await call('/admin', { roles: ['user'], scope: 'admin notes:read' });
    const body = { error: 'insufficient_scope', error_description: 'The role admin is required' };
    assert.deepEqual([refused.status, await refused.json()], [403, body]);
    assert.equal((await call('/admin', { roles: ['user', 'admin'] })).status, 200);
  });

  it('The demo’s API refuses requests with no token, with another API’s token and with an expired token', async () => {
    for (const path of ['/me', '/notes', '/admin']) {
      const response = await fetch(api.url + path);
      assert.equal(response.status, 401);
      const described = `resource_metadata="${AUDIENCE}/.well-known/oauth-protected-resource"`;
      const dpop = `DPoP realm="${AUDIENCE}", algs="ES256 EdDSA Ed25519 PS256 RS256", ${described}`;
      assert.equal(response.headers.get('www-authenticate'), `Bearer realm="${AUDIENCE}", ${described}, ${dpop}`);
      const roles = ['user', 'admin'];
      assert.equal((await call(path, { roles, aud: 'http://localhost:3004' })).status, 401);
      assert.equal((await call(path, { roles, exp: 1_000_000_000 })).status, 401);
    }
  });

  it('Anybody can read the metadata of the demo’s API', async () => {
    const response = await fetch(`${api.url}/.well-known/oauth-protected-resource`);
    assert.deepEqual(await response.json(), {
      resource: AUDIENCE,
      authorization_servers: [issuer.url],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'Ed25519', 'PS256', 'RS256'],
      resource_name: 'Latchkey demo: notes',
      scopes_supported: ['notes:read'],
    });
  });

  it('The pages of both demo apps can read every response of the API, including errors', async () => {
    for (const origin of ORIGINS) {
      for (const response of [
        await call('/me', {}, { origin }),
        await call('/admin', {}, { origin }),
        await fetch(`${api.url}/nowhere`, { headers: { origin } }),
      ]) {
        assert.equal(response.headers.get('access-control-allow-origin'), origin);
        assert.equal(response.headers.get('access-control-expose-headers'), 'WWW-Authenticate');
        assert.equal(response.headers.get('vary'), 'Origin');
      }
    }
  });

  it('The demo API’s preflight response allows the Authorization header', async () => {
    const headers = { 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' };
    const [origin = ''] = ORIGINS;
    const response = await fetch(`${api.url}/me`, { method: 'OPTIONS', headers: { origin, ...headers } });
    assert.deepEqual([response.status, await response.text()], [204, '']);
    assert.equal(response.headers.get('access-control-allow-origin'), origin);
    assert.equal(response.headers.get('access-control-allow-headers'), 'Authorization');
    assert.equal(response.headers.get('access-control-allow-credentials'), null);
  });

  it('Pages of other origins can read no response of the demo’s API', async () => {
    for (const origin of ['http://localhost:3004', 'http://localhost:30011', 'https://localhost:3001', 'null', '*']) {
      const response = await call('/me', {}, { origin });
      assert.equal(response.headers.get('access-control-allow-origin'), null);
      assert.equal(response.headers.get('access-control-allow-headers'), null);
      assert.equal(response.headers.get('vary'), 'Origin');
    }
  });

  it('The demo’s API answers 404 in JSON for an unknown path', async () => {
    for (const path of ['/', '/me/', '/ME', '/notes/1', '/__proto__']) {
      const response = await call(path);
      const body = { error: 'not_found', error_description: 'There are /me, /notes and /admin' };
      assert.deepEqual([response.status, await response.json()], [404, body], path);
    }
  });

  it('The demo’s API answers 405 in JSON for a method that writes', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const response = await fetch(`${api.url}/me`, { method });
      const body = { error: 'method_not_allowed', error_description: 'This can only be read' };
      assert.deepEqual([response.status, await response.json()], [405, body]);
      assert.equal(response.headers.get('allow'), 'GET, HEAD, OPTIONS');
    }
  });

  it('The demo’s API answers 503 if it has never reached the issuer', async () => {
    await using away = await serve(
      createNotesApi({ issuer: 'http://127.0.0.1:1', audience: AUDIENCE, origins: ORIGINS }),
    );
    const headers = { authorization: `Bearer ${await issuer.token()}` };
    assert.equal((await fetch(`${away.url}/me`, { headers })).status, 503);
  });
});
