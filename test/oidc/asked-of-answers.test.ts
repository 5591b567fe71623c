import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { ALICE, authorizationRequest, signIn, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { verified } from '../support/tokens.ts';

const BASIC = { authorization: `Basic ${btoa('demo-web:demo-web-secret')}` };
const UNGUESSABLE = /^[\w-]{43,}$/;

/** The demo's web app asks in every way that there is. */
function withAll(config: Config): Config {
  const all: Partial<ClientConfig> = {
    profile: 'legacy',
    first_party: true,
    response_types: ['code', 'code id_token', 'id_token token'],
    grant_types: [
      ...['authorization_code', 'refresh_token', 'urn:openid:params:grant-type:ciba'],
      'urn:ietf:params:oauth:grant-type:device_code',
    ] as NonNullable<ClientConfig['grant_types']>,
  };
  return {
    ...config,
    clients: config.clients.map((client) => (client.client_id === 'demo-web' ? { ...client, ...all } : client)),
  };
}

describe('Specification requirements on responses', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer({ change: withAll });
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());

  it('The device_code and the auth_req_id are unguessable and not cached (RFC 8628 §3.2, CIBA Core §7.3)', async () => {
    const asked: [string, Record<string, string>, string][] = [
      ['/device_authorization', { scope: 'openid' }, 'device_code'],
      ['/backchannel_authentication', { scope: 'openid', login_hint: ALICE.email }, 'auth_req_id'],
    ];
    for (const [path, parameters, name] of asked) {
      const body = new URLSearchParams(parameters);
      const response = await fetch(server.issuer + path, { method: 'POST', headers: BASIC, body });
      const answer = (await response.json()) as Record<string, unknown>;
      assert.equal(response.status, 200, JSON.stringify(answer));
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
      assert.equal(response.headers.get('cache-control'), 'no-store');
      assert.match(String(answer[name]), UNGUESSABLE);
      assert.ok(Number(answer['expires_in']) > 0 && Number(answer['interval']) > 0, path);
    }
  });

  it('The metadata contains every required member (Discovery §3, RFC 8414 §2)', async () => {
    const response = await fetch(`${server.issuer}/.well-known/openid-configuration`);
    assert.deepEqual([response.status, response.headers.get('content-type')?.split(';')[0]], [200, 'application/json']);
    const document = (await response.json()) as Record<string, unknown>;
    const required = ['issuer', 'authorization_endpoint', 'token_endpoint', 'jwks_uri', 'userinfo_endpoint'];
    const lists: Record<string, string> = {
      response_types_supported: 'code',
      subject_types_supported: 'pairwise',
      id_token_signing_alg_values_supported: 'RS256',
      scopes_supported: 'openid',
      claims_supported: 'email',
      acr_values_supported: 'aal1',
      dpop_signing_alg_values_supported: 'ES256',
      code_challenge_methods_supported: 'S256',
    };
    for (const name of required) assert.equal(typeof document[name], 'string', name);
    for (const [name, value] of Object.entries(lists))
      assert.ok((document[name] as string[]).includes(value), `${name}: ${String(document[name])}`);
    for (const [name, value] of Object.entries(document))
      assert.ok(value !== null && !(Array.isArray(value) && value.length === 0), `${name} is empty`);
  });

  it('A signed response never puts a token into a query, and the "jwt" mode follows the type (JARM §2.3)', async () => {
    for (const type of ['code id_token', 'id_token token']) {
      const ask = (response_mode: string) =>
        authorizationRequest(server.issuer, 'demo-web', { response_type: type, scope: 'openid', response_mode });
      const signed = await signIn(alice, ask('jwt'));
      const { claims } = await verified(
        server.issuer,
        new URLSearchParams(signed.hash.slice(1)).get('response') ?? '',
        'demo-web',
      );
      assert.deepEqual([signed.search, typeof claims['id_token']], ['', 'string']);
      const refused = await signIn(alice, ask('query.jwt'));
      const answer = new URLSearchParams(refused.search || refused.hash.slice(1)).get('response') ?? '';
      const { claims: told } = await verified(server.issuer, answer, 'demo-web');
      assert.deepEqual([told['error'], told['id_token']], ['invalid_request', undefined], type);
    }
  });

  it('The sign-out accepts logout_hint and ui_locales without effect (RP-Initiated Logout §2)', async () => {
    const browser = new Browser();
    const { id_token = '' } = await tokensFor(server.issuer, { browser });
    const query = new URLSearchParams({ id_token_hint: id_token, logout_hint: 'somebody', ui_locales: 'de fr' });
    const page = await browser.visit(`${server.issuer}/logout?${query.toString()}`);
    assert.match(page.html, /You are signed out/);
  });

  it('The userinfo response is JSON unless the client registered otherwise (OpenID Connect Core §5.3.2)', async () => {
    const { access_token = '', id_token = '' } = await tokensFor(server.issuer);
    const headers = { authorization: `Bearer ${access_token}`, accept: 'application/jwt, text/html' };
    const response = await fetch(`${server.issuer}/userinfo`, { headers });
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    assert.equal(((await response.json()) as Record<string, unknown>)['sub'], decodeJwt(id_token).sub);
  });
});
