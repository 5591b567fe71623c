import assert from 'node:assert/strict';
import { exportJWK, generateKeyPair, type CryptoKey } from 'jose';
import * as client from 'openid-client';
import { clientSchema } from '../../src/config/sections/client-schema.ts';
import type { Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { Browser } from '../support/browser.ts';
import { signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const SECRET = 'a-shared-secret-of-sufficient-length-0123';

describe('openid-client with its own keys', () => {
  let server: TestServer;
  let alice: Browser;
  let signing: CryptoKey;
  let decrypting: CryptoKey;

  before(async () => {
    alice = new Browser();
    const [sig, enc] = await Promise.all([
      generateKeyPair('ES256', { extractable: true }),
      generateKeyPair('ECDH-ES+A256KW', { extractable: true }),
    ]);
    signing = sig.privateKey;
    decrypting = enc.privateKey;
    const keys = [
      { ...(await exportJWK(sig.publicKey)), kid: 'sig', use: 'sig', alg: 'ES256' },
      { ...(await exportJWK(enc.publicKey)), kid: 'enc', use: 'enc', alg: 'ECDH-ES+A256KW' },
    ];
    server = await startTestServer({ change: (config) => withLedger(config, { keys }) });
  });
  after(() => server.close());

  function withLedger(config: Config, jwks: object): Config {
    const app = (client_id: string, settings: object) =>
      clientSchema.parse({
        client_id,
        client_name: client_id,
        type: 'web',
        first_party: true,
        redirect_uris: [`https://${client_id}.example/callback`],
        scopes: ['openid', 'email'],
        ...settings,
      });
    const keyed = { token_endpoint_auth_method: 'private_key_jwt', jwks };
    return {
      ...config,
      clients: [
        ...config.clients,
        app('shared', { token_endpoint_auth_method: 'client_secret_jwt', secret: new Secret(SECRET) }),
        app('keyed', keyed),
        app('signing', { ...keyed, require_signed_request_object: true, request_object_signing_alg: 'ES256' }),
        app('answered', { ...keyed, authorization_signed_response_alg: 'ES256' }),
        app('sealed', {
          ...keyed,
          authorization_signed_response_alg: 'ES256',
          authorization_encrypted_response_alg: 'ECDH-ES+A256KW',
          authorization_encrypted_response_enc: 'A256GCM',
          id_token_encrypted_response_alg: 'ECDH-ES+A256KW',
          id_token_encrypted_response_enc: 'A256GCM',
          userinfo_signed_response_alg: 'ES256',
          userinfo_encrypted_response_alg: 'ECDH-ES+A256KW',
          userinfo_encrypted_response_enc: 'A256GCM',
        }),
      ],
    };
  }

  function discovered(clientId: string, metadata: Partial<client.ClientMetadata> = {}): Promise<client.Configuration> {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- so marked to stand out; this server is on loopback without TLS
    const insecure = { execute: [client.allowInsecureRequests] };
    const own = { ...metadata };
    const proof =
      clientId === 'shared' ? client.ClientSecretJwt(SECRET) : client.PrivateKeyJwt({ key: signing, kid: 'sig' });
    return client.discovery(new URL(server.issuer), clientId, own, proof, insecure);
  }

  /** The code flow, with a request that the library makes in its own way. */
  async function signedIn(
    config: client.Configuration,
    build: (parameters: Record<string, string>) => URL | Promise<URL>,
  ): Promise<client.TokenEndpointResponse & client.TokenEndpointResponseHelpers> {
    const clientId = config.clientMetadata().client_id;
    const redirectUri = `https://${clientId}.example/callback`;
    const [verifier, state, nonce] = [client.randomPKCECodeVerifier(), client.randomState(), client.randomNonce()];
    const url = await build({
      redirect_uri: redirectUri,
      scope: 'openid email',
      state,
      nonce,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const callback = await signIn(alice, { url: url.href, redirectUri, verifier, clientId });
    return client.authorizationCodeGrant(config, callback, {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    });
  }

  for (const clientId of ['shared', 'keyed']) {
    it(`openid-client authenticates by assertions (${clientId}) at /par, /token, /introspect and /revoke`, async () => {
      const config = await discovered(clientId);
      const tokens = await signedIn(config, (parameters) => client.buildAuthorizationUrlWithPAR(config, parameters));
      assert.equal((await client.tokenIntrospection(config, tokens.access_token)).active, true);
      await client.tokenRevocation(config, tokens.access_token);
      assert.equal((await client.tokenIntrospection(config, tokens.access_token)).active, false);
    });
  }

  it('openid-client sends signed requests (JAR), also as pushed requests', async () => {
    const config = await discovered('signing');
    const key = { key: signing, kid: 'sig' };
    const sign = (parameters: Record<string, string>): Promise<URL> =>
      client.buildAuthorizationUrlWithJAR(config, parameters, key);
    assert.ok((await signedIn(config, sign)).claims()?.sub);
    const push = async (parameters: Record<string, string>): Promise<URL> => {
      const { searchParams } = await sign(parameters);
      return client.buildAuthorizationUrlWithPAR(config, searchParams);
    };
    assert.ok((await signedIn(config, push)).claims()?.sub);
  });

  it('openid-client accepts signed authorization responses (JARM)', async () => {
    const config = await discovered('answered', { authorization_signed_response_alg: 'ES256' });
    client.useJwtResponseMode(config);
    const tokens = await signedIn(config, (parameters) => client.buildAuthorizationUrl(config, parameters));
    assert.ok(tokens.claims()?.sub);
  });

  it('openid-client decrypts authorization responses, ID tokens and userinfo responses', async () => {
    const config = await discovered('sealed', {
      authorization_signed_response_alg: 'ES256',
      userinfo_signed_response_alg: 'ES256',
    });
    client.useJwtResponseMode(config);
    client.enableDecryptingResponses(config, ['A256GCM'], { key: decrypting, kid: 'enc' });
    const tokens = await signedIn(config, (parameters) => client.buildAuthorizationUrl(config, parameters));
    const person = await client.fetchUserInfo(config, tokens.access_token, tokens.claims()?.sub ?? '');
    assert.equal(person.email, 'alice@example.com');
  });
});
