import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose';
import { clientSchema } from '../../src/config/sections/client-schema.ts';
import type { Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { tokenRequest, type TokenAnswer } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';

const SECRET = 'a-shared-secret-of-sufficient-length-0123';
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

describe('Client authentication', () => {
  let server: TestServer;
  let keys: { privateKey: CryptoKey; publicKey: CryptoKey };
  let strange: CryptoKey;
  let keyServer: Server;
  let published: JWK[];

  before(async () => {
    keys = await generateKeyPair('ES256', { extractable: true });
    strange = (await generateKeyPair('ES256')).privateKey;
    published = [{ ...(await exportJWK(keys.publicKey)), kid: 'one', use: 'sig', alg: 'ES256' }];
    keyServer = createServer((_request, response) => {
      response.setHeader('content-type', 'application/jwk-set+json');
      response.end(JSON.stringify({ keys: published }));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => keyServer.once('listening', resolve));
    const { port } = keyServer.address() as AddressInfo;
    server = await startTestServer({ change: (config) => withMachines(config, `http://127.0.0.1:${port}/jwks`) });
  });
  afterEach(returnToPresent);
  after(async () => {
    await server.close();
    keyServer.closeAllConnections();
    keyServer.close();
  });

  function withMachines(config: Config, jwksUri: string): Config {
    const machine = (client_id: string, settings: object) =>
      clientSchema.parse({
        client_id,
        client_name: client_id,
        type: 'machine',
        scopes: ['notes:read'],
        resources: config.resources.map(({ identifier }) => identifier),
        default_resource: config.resources[0]?.identifier,
        ...settings,
      });
    const keyed = { token_endpoint_auth_method: 'private_key_jwt' };
    return {
      ...config,
      outgoing: { allow: ['127.0.0.1'] },
      clients: [
        ...config.clients,
        machine('moving', { secret: new Secret('the-new-one'), previous_secret: new Secret('the-one-before') }),
        machine('shared', { secret: new Secret(SECRET), token_endpoint_auth_method: 'client_secret_jwt' }),
        machine('keyed', { ...keyed, jwks: { keys: published } }),
        machine('fetched', { ...keyed, jwks_uri: jwksUri }),
      ],
    };
  }

  const ask = (parameters: Record<string, string>, basic?: string): Promise<TokenAnswer> =>
    tokenRequest(server.issuer, { grant_type: 'client_credentials', scope: 'notes:read', ...parameters }, basic);
  const claims = (client: string, changed: JWTPayload = {}): JWTPayload => {
    const now = Math.floor(Date.now() / 1000);
    const usual = { iss: client, sub: client, aud: server.issuer, jti: crypto.randomUUID(), iat: now, exp: now + 60 };
    return { ...usual, ...changed };
  };
  const present = (client_assertion: string): Promise<TokenAnswer> =>
    ask({ client_assertion_type: ASSERTION, client_assertion });
  const signed = (payload: JWTPayload, key: CryptoKey | Uint8Array = keys.privateKey, alg = 'ES256'): Promise<string> =>
    new SignJWT(payload).setProtectedHeader({ alg }).sign(key);
  async function refused(answer: Promise<TokenAnswer>): Promise<void> {
    const { status, body } = await answer;
    assert.deepEqual([status, body['error'], body['access_token']], [401, 'invalid_client', undefined]);
  }

  it('The token endpoint accepts the current and the previous secret, in the header and in the body', async () => {
    for (const secret of ['the-new-one', 'the-one-before']) {
      assert.equal((await ask({}, `moving:${secret}`)).status, 200);
      assert.equal((await ask({ client_id: 'moving', client_secret: secret })).status, 200);
    }
    await refused(ask({}, 'moving:the-other-one'));
  });

  it('The token endpoint accepts a client assertion that is signed with the client secret', async () => {
    const key = new TextEncoder().encode(SECRET);
    assert.equal((await present(await signed(claims('shared'), key, 'HS256'))).status, 200);
    await refused(present(await signed(claims('shared'), new TextEncoder().encode(`${SECRET}4`), 'HS256')));
    // Its secret is for signing: sent as it is, it would be seen.
    await refused(ask({}, `shared:${SECRET}`));
  });

  for (const client of ['keyed', 'fetched']) {
    it(`The token endpoint accepts a client assertion that is signed with the client's own key (${client})`, async () => {
      const { status, body } = await present(await signed(claims(client)));
      assert.equal(status, 200, JSON.stringify(body));
      await refused(present(await signed(claims(client), strange)));
    });
  }

  it('The token endpoint accepts a newly published client key after a minute, without a restart', async () => {
    const next = await generateKeyPair('ES256', { extractable: true });
    published = [...published, { ...(await exportJWK(next.publicKey)), kid: 'two', use: 'sig', alg: 'ES256' }];
    travel(61);
    const assertion = new SignJWT(claims('fetched')).setProtectedHeader({ alg: 'ES256', kid: 'two' });
    const { status, body } = await present(await assertion.sign(next.privateKey));
    assert.equal(status, 200, JSON.stringify(body));
  });

  it('The token endpoint accepts each client assertion only once', async () => {
    const assertion = await signed(claims('keyed'));
    const answers = await Promise.all(Array.from({ length: 10 }, () => present(assertion)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    await refused(present(assertion));
  });

  const now = (): number => Math.floor(Date.now() / 1000);
  const hostile: Record<string, () => Promise<string>> = {
    'is for the token endpoint': () => signed(claims('keyed', { aud: `${server.issuer}/token` })),
    'is for another server': () => signed(claims('keyed', { aud: 'https://other.example' })),
    'is also for another server': () => signed(claims('keyed', { aud: [server.issuer, 'https://other.example'] })),
    'is for an API': () => signed(claims('keyed', { aud: apiOf(server.issuer) })),
    'has no audience': () => signed(claims('keyed', { aud: [] })),
    'has expired': () => signed(claims('keyed', { exp: now() - 60 })),
    'never expires': () => signed(JSON.parse(JSON.stringify(claims('keyed'), dropping('exp'))) as JWTPayload),
    'expires in a year': () => signed(claims('keyed', { exp: now() + 365 * 86_400 })),
    'has no jti': () => signed(JSON.parse(JSON.stringify(claims('keyed'), dropping('jti'))) as JWTPayload),
    'is not valid yet': () => signed(claims('keyed', { nbf: now() + 3600 })),
    'is issued by another client': () => signed(claims('keyed', { iss: 'shared' })),
    'is about another client': () => signed(claims('keyed', { sub: 'demo-service' })),
    'is not signed': () => Promise.resolve(new UnsecuredJWT(claims('keyed')).encode()),
    'is signed with the public key as if it were a secret': async () =>
      signed(claims('keyed'), new TextEncoder().encode(JSON.stringify(await exportJWK(keys.publicKey))), 'HS256'),
  };
  for (const [what, make] of Object.entries(hostile)) {
    it(`The token endpoint refuses a client assertion that ${what}`, async () => {
      await refused(present(await make()));
    });
  }

  it('The token endpoint refuses a client assertion together with a secret', async () => {
    const client_assertion = await signed(claims('keyed'));
    const { status, body } = await ask({ client_assertion_type: ASSERTION, client_assertion }, 'keyed:x');
    assert.deepEqual([status, body['error']], [400, 'invalid_request']);
  });
});

function dropping(name: string) {
  return (key: string, value: unknown) => (key === name ? undefined : value);
}
