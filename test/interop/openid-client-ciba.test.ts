import assert from 'node:assert/strict';
import * as client from 'openid-client';
import type { Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { ALICE, authorizationRequest, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

function withCiba(config: Config): Config {
  return {
    ...config,
    clients: config.clients.map((one) =>
      one.client_id === 'demo-web' ? { ...one, grant_types: ['urn:openid:params:grant-type:ciba'] } : one,
    ),
  };
}

describe('openid-client with CIBA', function () {
  this.timeout(60_000);
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withCiba });
  });
  after(() => server.close());

  it('openid-client polls until the person has allowed the request on a page of the server', async () => {
    const metadata = { client_secret: 'demo-web-secret' };
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- so marked to stand out; this server is on loopback without TLS
    const insecure = { execute: [client.allowInsecureRequests] };
    const config = await client.discovery(new URL(server.issuer), 'demo-web', metadata, undefined, insecure);
    const alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));

    const asked = await client.initiateBackchannelAuthentication(config, {
      scope: 'openid email',
      login_hint: ALICE.email,
      binding_message: 'W4SCT',
    });
    const tokens = client.pollBackchannelAuthenticationGrant(config, asked);
    const home = await alice.visit(`${server.issuer}/`);
    assert.match(home.html, /W4SCT/);
    await alice.submit(home, { decision: 'allow' });
    assert.ok((await tokens).claims()?.sub);
  });
});
