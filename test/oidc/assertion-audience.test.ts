import assert from 'node:assert/strict';
import { SignJWT } from 'jose';
import { clientSchema } from '../../src/config/sections/client-schema.ts';
import type { ClientConfig } from '../../src/config/schema.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { clientKey, type ClientKey } from '../support/signed-request.ts';

/** Clients that differ in what their assertions may be for. */
const CLIENTS: Record<string, Partial<ClientConfig>> = {
  usual: {},
  said: { client_assertion_audience: 'endpoint' },
  old: { profile: 'legacy' },
  careful: { profile: 'legacy', client_assertion_audience: 'issuer' },
  bank: { profile: 'fapi2-security' },
  agent: { profile: 'mcp' },
};

describe('The audience of a client assertion', () => {
  let server: TestServer;
  let key: ClientKey;
  before(async () => {
    key = await clientKey();
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: [
          ...config.clients,
          ...Object.entries(CLIENTS).map(([client_id, settings]) =>
            clientSchema.parse({
              ...{ client_id, client_name: client_id, type: 'machine', jwks: key.jwks, scopes: ['notes:read'] },
              ...{ token_endpoint_auth_method: 'private_key_jwt', introspection: true },
              resources: config.resources.map(({ identifier }) => identifier),
              ...settings,
            }),
          ),
        ],
      }),
    });
  });
  after(() => server.close());

  /** What the endpoint says of a client by the assertion alone. */
  async function ask(client: string, path: string, aud: string | string[]) {
    const assertion = await new SignJWT({ iss: client, sub: client, jti: crypto.randomUUID(), aud })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuedAt()
      .setExpirationTime('1 min')
      .sign(key.privateKey);
    const response = await fetch(`${server.issuer}${path}`, {
      method: 'POST',
      body: new URLSearchParams({
        ...{ grant_type: 'client_credentials', token: 'made-up' },
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      }),
    });
    const body = (await response.json()) as Record<string, unknown>;
    return { isKnown: response.status !== 401, why: String(body['error_description']) };
  }

  for (const client of ['said', 'old']) {
    it(`The endpoint URL is an accepted assertion audience for the client "${client}", alone or in a list of this server`, async () => {
      const [token, par] = [`${server.issuer}/token`, `${server.issuer}/par`];
      for (const aud of [server.issuer, token, [token], [server.issuer, token]])
        assert.equal((await ask(client, '/token', aud)).isKnown, true, String(aud));
      assert.equal((await ask(client, '/introspect', `${server.issuer}/introspect`)).isKnown, true);
      assert.equal((await ask(client, '/par', par)).isKnown, true);
      for (const aud of [
        [server.issuer, 'https://attacker.example'],
        [token, 'https://attacker.example/token'],
        [],
        `${token}/`,
      ])
        assert.equal((await ask(client, '/token', aud)).isKnown, false, String(aud));
    });
  }

  for (const client of ['usual', 'careful', 'bank', 'agent']) {
    it(`The issuer is the only accepted assertion audience for the client "${client}"`, async () => {
      for (const aud of [`${server.issuer}/token`, [server.issuer], [server.issuer, `${server.issuer}/token`]])
        assert.equal((await ask(client, '/token', aud)).isKnown, false, String(aud));
      assert.equal((await ask(client, '/introspect', server.issuer)).isKnown, true);
    });
  }

  it('The error description names the accepted assertion audience', async () => {
    const { why } = await ask('usual', '/token', `${server.issuer}/token`);
    assert.equal(
      why,
      `the audience (aud) of the client assertion must be ${server.issuer}, as a text and nothing else`,
    );
    const { why: listed } = await ask('said', '/token', 'https://login.example/token');
    assert.match(listed, new RegExp(`must be ${server.issuer} or ${server.issuer}/token or ${server.issuer}/par or `));
  });
});
