import assert from 'node:assert/strict';
import { SignJWT } from 'jose';
import { CIBA_GRANT, clientSchema, DEVICE_GRANT } from '../../src/config/sections/client-schema.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { clientKey, type ClientKey } from '../support/signed-request.ts';

/**
 * The attacker runs an authorization server too, and its metadata names one of our endpoints as its own. A client that
 * takes an endpoint for the audience then signs an assertion for us, and hands it to the attacker.
 */
describe('Audience injection (draft-ietf-oauth-security-topics-update)', () => {
  let server: TestServer;
  let key: ClientKey;
  before(async () => {
    key = await clientKey();
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: [
          ...config.clients,
          clientSchema.parse({
            ...{ client_id: 'of-both', client_name: 'Of both', type: 'web', jwks: key.jwks, introspection: true },
            ...{ token_endpoint_auth_method: 'private_key_jwt', redirect_uris: ['https://client.example/callback'] },
            grant_types: ['authorization_code', 'client_credentials', DEVICE_GRANT, CIBA_GRANT],
          }),
        ],
      }),
    });
  });
  after(() => server.close());

  /** Every endpoint at which a client proves itself, with a request that is otherwise good. */
  const ENDPOINTS: Record<string, Record<string, string>> = {
    '/token': { grant_type: 'client_credentials' },
    '/par': {
      ...{ response_type: 'code', scope: 'openid', redirect_uri: 'https://client.example/callback' },
      ...{ code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' },
    },
    '/introspect': { token: 'made-up' },
    '/revoke': { token: 'made-up' },
    '/device_authorization': { scope: 'openid' },
    '/backchannel_authentication': { scope: 'openid', login_hint: 'alice@example.com' },
  };

  function assertionFor(aud: string | string[]): Promise<string> {
    return new SignJWT({ iss: 'of-both', sub: 'of-both', jti: crypto.randomUUID(), aud })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuedAt()
      .setExpirationTime('1 min')
      .sign(key.privateKey);
  }

  async function statusOf(endpoint: string, client_assertion: string): Promise<number> {
    const { status } = await fetch(`${server.issuer}${endpoint}`, {
      method: 'POST',
      body: new URLSearchParams({
        ...ENDPOINTS[endpoint],
        client_id: 'of-both',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion,
      }),
    });
    return status;
  }

  for (const endpoint of Object.keys(ENDPOINTS)) {
    it(`The endpoint ${endpoint} accepts a client assertion only if its audience is the issuer`, async () => {
      const addresses = Object.keys(ENDPOINTS).map((path) => `${server.issuer}${path}`);
      for (const aud of [...addresses, `${server.issuer}/`, 'https://attacker.example', [server.issuer, 'x'], ''])
        assert.equal(await statusOf(endpoint, await assertionFor(aud)), 401, String(aud));
      const good = await statusOf(endpoint, await assertionFor(server.issuer));
      assert.ok([200, 201].includes(good), String(good));
    });
  }

  it('An endpoint refuses a client assertion that another endpoint has already accepted', async () => {
    const assertion = await assertionFor(server.issuer);
    const [first, ...others] = Object.keys(ENDPOINTS);
    assert.equal(await statusOf(first ?? '', assertion), 200);
    for (const endpoint of others) assert.equal(await statusOf(endpoint, assertion), 401, endpoint);
  });
});
