import assert from 'node:assert/strict';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('Discovery and /jwks', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  const DOCUMENTS = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server', '/jwks'];
  const get = (path: string, init: RequestInit = {}): Promise<Response> => fetch(server.issuer + path, init);
  const metadata = async (): Promise<Record<string, unknown>> =>
    (await (await get('/.well-known/openid-configuration')).json()) as Record<string, unknown>;

  it('Both well-known paths return the same document', async () => {
    const [openid, oauth] = await Promise.all(DOCUMENTS.map(async (path) => (await get(path)).text()));
    assert.equal(oauth, openid);
  });

  it('The metadata names the issuer and the endpoints', async () => {
    const { issuer } = server;
    const document = await metadata();
    const named = Object.fromEntries(
      Object.entries(document).filter(([name]) => /^issuer$|_endpoint$|^jwks_uri$/.test(name)),
    );
    assert.deepEqual(named, {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      userinfo_endpoint: `${issuer}/userinfo`,
      jwks_uri: `${issuer}/jwks`,
      introspection_endpoint: `${issuer}/introspect`,
      revocation_endpoint: `${issuer}/revoke`,
      end_session_endpoint: `${issuer}/logout`,
      pushed_authorization_request_endpoint: `${issuer}/par`,
      backchannel_authentication_endpoint: `${issuer}/backchannel_authentication`,
      device_authorization_endpoint: `${issuer}/device_authorization`,
      status_list_aggregation_endpoint: `${issuer}/status`,
      status_events_endpoint: `${issuer}/status/events`,
    });
  });

  it('The metadata advertises what the server supports, without the implicit grant and plain PKCE', async () => {
    const document = await metadata();
    assert.deepEqual(document['response_types_supported'], ['code']);
    assert.deepEqual(document['code_challenge_methods_supported'], ['S256']);
    assert.deepEqual(document['grant_types_supported'], [
      'authorization_code',
      'refresh_token',
      'client_credentials',
      'urn:ietf:params:oauth:grant-type:device_code',
      'urn:openid:params:grant-type:ciba',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'urn:ietf:params:oauth:grant-type:token-exchange',
    ]);
    assert.deepEqual(
      new Set(document['id_token_signing_alg_values_supported'] as string[]),
      new Set(['ES256', 'RS256']),
    );
    assert.deepEqual(document['token_endpoint_auth_methods_supported'], [
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
      'none',
    ]);
    const algorithms = document['token_endpoint_auth_signing_alg_values_supported'];
    for (const endpoint of ['revocation', 'introspection']) {
      const { token_endpoint_auth_methods_supported: methods } = document as Record<string, string[]>;
      assert.deepEqual(
        document[`${endpoint}_endpoint_auth_methods_supported`],
        methods?.filter((method) => method !== 'none' || endpoint === 'revocation'),
      );
      assert.deepEqual(document[`${endpoint}_endpoint_auth_signing_alg_values_supported`], algorithms);
    }
    assert.equal(document['authorization_response_iss_parameter_supported'], true);
    assert.equal(document['backchannel_logout_supported'], true);
  });

  it('/jwks publishes one key per algorithm with its use and kid, and no private members', async () => {
    const { keys } = (await (await get('/jwks')).json()) as { keys: Record<string, string>[] };
    assert.deepEqual(keys.map(({ alg }) => alg).sort(), ['ES256', 'RS256']);
    assert.equal(new Set(keys.map(({ kid }) => kid)).size, keys.length);
    for (const key of keys) {
      assert.equal(key['use'], 'sig');
      for (const half of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.equal(key[half], undefined);
    }
  });

  for (const path of DOCUMENTS) {
    it(`${path} is publicly cacheable and supports conditional requests with its ETag`, async () => {
      const response = await get(path);
      const etag = response.headers.get('etag') ?? '';
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
      assert.match(response.headers.get('cache-control') ?? '', /^public, max-age=[1-9]\d*$/);
      assert.match(etag, /^"[^"]+"$/);
      assert.equal(response.headers.get('set-cookie'), null);

      for (const header of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const unchanged = await get(path, { headers: { 'if-none-match': header } });
        assert.equal(unchanged.status, 304, header);
        assert.equal(unchanged.headers.get('etag'), etag);
        assert.equal(await unchanged.text(), '');
      }
      assert.equal((await get(path, { headers: { 'if-none-match': '"other"' } })).status, 200);
    });

    it(`${path} answers HEAD like GET, without the body`, async () => {
      const [whole, head] = await Promise.all([get(path), get(path, { method: 'HEAD' })]);
      assert.equal(head.status, 200);
      assert.equal(head.headers.get('etag'), whole.headers.get('etag'));
      assert.equal(Number(head.headers.get('content-length')), (await whole.arrayBuffer()).byteLength);
      assert.equal(await head.text(), '');
    });

    it(`${path} is readable from every origin`, async () => {
      const origin = 'https://app.example';
      const response = await get(path, { headers: { origin } });
      assert.equal(response.headers.get('access-control-allow-origin'), '*');
      const preflight = await get(path, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'GET' },
      });
      assert.equal(preflight.status, 204);
      assert.ok(['*', origin].includes(preflight.headers.get('access-control-allow-origin') ?? ''));
    });

    it(`${path} refuses POST with status 405`, async () => {
      const response = await get(path, { method: 'POST' });
      assert.equal(response.status, 405);
      assert.match(response.headers.get('allow') ?? '', /GET/);
    });
  }
});
