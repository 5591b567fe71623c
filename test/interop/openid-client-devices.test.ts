import assert from 'node:assert/strict';
import * as client from 'openid-client';
import { Browser } from '../support/browser.ts';
import { letIn, withTelevision } from '../support/device.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

// eslint-disable-next-line @typescript-eslint/no-deprecated -- so marked to stand out; this server is on loopback without TLS
const insecure = { execute: [client.allowInsecureRequests] };

describe('openid-client on a device without a browser', function () {
  this.timeout(60_000);
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withTelevision });
  });
  after(() => server.close());

  it('openid-client starts a device flow, and polls until the person has allowed it', async () => {
    const config = await client.discovery(new URL(server.issuer), 'tv', undefined, client.None(), insecure);
    const started = await client.initiateDeviceAuthorization(config, {
      scope: 'openid notes:read',
      resource: apiOf(server.issuer),
    });
    const tokens = client.pollDeviceAuthorizationGrant(config, started);
    await letIn(server.issuer, new Browser(), { userCode: started.user_code });
    const { access_token: token } = await tokens;
    const { claims } = await verified(server.issuer, token, apiOf(server.issuer));
    assert.equal(claims['client_id'], 'tv');
  });
});

describe('openid-client with dynamic registration', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({
      change: (config) => ({
        ...config,
        registration: { ...config.registration, enabled: true, initial_access_token: 'none' },
      }),
    });
  });
  after(() => server.close());

  it('openid-client registers itself, and authenticates with its new secret', async () => {
    const metadata = { client_name: 'Newcomer', redirect_uris: ['https://new.example/callback'] };
    const config = await client.dynamicClientRegistration(new URL(server.issuer), metadata, undefined, insecure);
    const url = await client.buildAuthorizationUrlWithPAR(config, {
      redirect_uri: 'https://new.example/callback',
      scope: 'openid',
    });
    assert.match(url.searchParams.get('request_uri') ?? '', /^urn:ietf:params:oauth:request_uri:/);
  });
});
