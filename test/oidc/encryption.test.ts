import assert from 'node:assert/strict';
import {
  compactDecrypt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  jwtVerify,
  type CryptoKey,
  type JWK,
} from 'jose';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

const SECRET = 'a-web-client-secret-of-sufficient-length-01';

describe('Encryption to a single reader', () => {
  let server: TestServer;
  let privateKey: CryptoKey;

  before(async () => {
    const pair = await generateKeyPair('ECDH-ES+A256KW', { extractable: true });
    ({ privateKey } = pair);
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'enc', use: 'enc', alg: 'ECDH-ES+A256KW' };
    server = await startTestServer({ change: (config) => changed(config, jwk as JWK & { kty: 'EC' }) });
  });
  after(() => server.close());

  function changed(config: Config, jwk: JWK & { kty: 'EC' }): Config {
    const encrypted: Partial<ClientConfig> = {
      jwks: { keys: [jwk] },
      id_token_encrypted_response_alg: 'ECDH-ES+A256KW',
      id_token_encrypted_response_enc: 'A256GCM',
      userinfo_signed_response_alg: 'ES256',
      userinfo_encrypted_response_alg: 'ECDH-ES+A256KW',
    };
    return {
      ...config,
      keys: { ...config.keys, hs256: true },
      resources: config.resources.map((resource) => ({
        ...resource,
        access_token_encryption: { alg: 'ECDH-ES+A256KW', enc: 'A256GCM', jwk },
      })),
      clients: config.clients.map((client) => {
        if (client.client_id === 'demo-notes') return { ...client, ...encrypted };
        if (client.client_id !== 'demo-web') return client;
        return { ...client, id_token_signing_alg: 'HS256', secret: new Secret(SECRET) };
      }),
    };
  }

  async function opened(jwe: string | undefined): Promise<string> {
    const { plaintext } = await compactDecrypt(jwe ?? '', privateKey);
    return new TextDecoder().decode(plaintext);
  }

  it('The ID token is signed and then encrypted to the client', async () => {
    const { id_token: token } = await tokensFor(server.issuer);
    const { alg, enc, cty } = decodeProtectedHeader(token ?? '');
    assert.deepEqual([alg, enc, cty], ['ECDH-ES+A256KW', 'A256GCM', 'JWT']);
    const { claims } = await verified(server.issuer, await opened(token), 'demo-notes');
    assert.equal(typeof claims.sub, 'string');
  });

  it('The userinfo response is signed and then encrypted to the client', async () => {
    const { access_token: token } = await tokensFor(server.issuer);
    const response = await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } });
    assert.match(response.headers.get('content-type') ?? '', /^application\/jwt/);
    const { claims } = await verified(server.issuer, await opened(await response.text()), 'demo-notes');
    assert.equal(claims['email'], 'alice@example.com');
  });

  it('The access token is signed and then encrypted to its API', async () => {
    const api = apiOf(server.issuer);
    const request = { grant_type: 'client_credentials', scope: 'notes:read' };
    const { body } = await tokenRequest(server.issuer, request, 'demo-service:demo-service-secret');
    const { claims } = await verified(server.issuer, await opened(String(body['access_token'])), api);
    assert.equal(claims['scope'], 'notes:read');
  });
});

describe('An ID token that is signed with the client secret', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({
      change: (config) => ({
        ...config,
        keys: { ...config.keys, hs256: true },
        clients: config.clients.map((client) =>
          client.client_id === 'demo-web'
            ? { ...client, id_token_signing_alg: 'HS256', secret: new Secret('demo-web-secret') }
            : client,
        ),
      }),
    });
  });
  after(() => server.close());

  it('The ID token verifies with the client secret', async () => {
    const { id_token: token } = await tokensFor(server.issuer, { clientId: 'demo-web' });
    const { protectedHeader, payload } = await jwtVerify(token ?? '', new TextEncoder().encode('demo-web-secret'), {
      issuer: server.issuer,
      audience: 'demo-web',
      algorithms: ['HS256'],
    });
    assert.deepEqual([protectedHeader.alg, protectedHeader.kid, typeof payload.sub], ['HS256', undefined, 'string']);
  });

  it('The metadata advertises HS256 only if the operator allows it', async () => {
    await using other = await startTestServer();
    const algorithms = async ({ issuer }: TestServer): Promise<unknown> => {
      const answer = await fetch(`${issuer}/.well-known/openid-configuration`);
      return ((await answer.json()) as Record<string, unknown>)['id_token_signing_alg_values_supported'];
    };
    assert.deepEqual(await algorithms(server), ['HS256', 'ES256', 'RS256']);
    assert.deepEqual(await algorithms(other), ['ES256', 'RS256']);
  });
});
