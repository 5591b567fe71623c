import assert from 'node:assert/strict';
import * as client from 'openid-client';
import type { ClientConfig } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const REDIRECT = 'https://web.example/callback';

function ofOld(app: ClientConfig): ClientConfig {
  const uris = { redirect_uris: [REDIRECT], post_logout_redirect_uris: [] };
  return { ...app, ...uris, profile: 'legacy', response_types: ['code id_token', 'id_token'] };
}

describe('openid-client with hybrid and implicit flows', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.map((one) => (one.client_id === 'demo-web' ? ofOld(one) : one)),
      }),
    });
  });
  after(() => server.close());

  async function discovered(): Promise<client.Configuration> {
    const metadata = { client_secret: 'demo-web-secret' };
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- so marked to stand out; this server is on loopback without TLS
    const insecure = { execute: [client.allowInsecureRequests] };
    return client.discovery(new URL(server.issuer), 'demo-web', metadata, undefined, insecure);
  }

  async function answerTo(config: client.Configuration, nonce: string): Promise<URL> {
    const url = client.buildAuthorizationUrl(config, { redirect_uri: REDIRECT, scope: 'openid email', nonce });
    const request = { url: url.href, redirectUri: REDIRECT, verifier: '', clientId: 'demo-web' };
    return signIn(new Browser(), request);
  }

  it('openid-client accepts a code and an ID token in one response (hybrid)', async () => {
    const config = await discovered();
    client.useCodeIdTokenResponseType(config);
    const expectedNonce = client.randomNonce();
    const tokens = await client.authorizationCodeGrant(config, await answerTo(config, expectedNonce), {
      expectedNonce,
    });
    assert.ok(tokens.claims()?.sub);
  });

  it('openid-client accepts an ID token alone (implicit)', async () => {
    const config = await discovered();
    client.useIdTokenResponseType(config);
    const nonce = client.randomNonce();
    const claims = await client.implicitAuthentication(config, await answerTo(config, nonce), nonce);
    assert.ok(claims.sub);
  });
});
