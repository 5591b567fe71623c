import assert from 'node:assert/strict';
import { contentSecurityPolicy, formTarget } from '../../src/http/response-headers.ts';
import { redirectUriRule, webUrlRule } from '../../src/config/rules.ts';
import { openToAll, register } from '../registration/registering.ts';
import { Browser } from '../support/browser.ts';
import { authorizationRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** URLs that any parser takes, whose host ends a source or a directive of a policy header. */
const HOSTILE = [
  "https://a;script-src-elem'unsafe-inline';x.example/callback",
  'https://a,default-src.example/callback',
  'https://a.example,b.example/callback',
  "https://'unsafe-inline'/callback",
];

describe('Addresses that would inject into the content security policy', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({
      change: (config) => ({
        ...openToAll()(config),
        // As a record would have it that was written before such hosts were refused.
        clients: config.clients.flatMap((client) =>
          client.client_id === 'demo-notes'
            ? [client, ...HOSTILE.map((uri, index) => ({ ...client, client_id: `old-${index}`, redirect_uris: [uri] }))]
            : [client],
        ),
      }),
    });
  });
  after(() => server.close());

  it('The configuration refuses a URI whose host has other characters than a host name', () => {
    for (const uri of HOSTILE) {
      assert.equal(redirectUriRule(uri), 'must have a host of letters, digits, dots and hyphens');
      assert.equal(webUrlRule(uri), 'must have a host of letters, digits, dots and hyphens');
    }
    for (const uri of [
      'https://xn--bcher-kva.example/',
      'https://a_b.example:8443/',
      'http://[::1]:3000/',
      'http://127.0.0.1/',
    ])
      assert.equal(redirectUriRule(uri), undefined, uri);
  });

  it('The registration endpoint refuses a host with policy syntax in every URI of a client', async () => {
    for (const uri of HOSTILE) {
      const changes = [
        { redirect_uris: [uri] },
        { post_logout_redirect_uris: [uri] },
        { client_uri: uri },
        { logo_uri: uri },
      ];
      for (const change of changes) {
        const { status } = await register(server, change);
        assert.equal(status, 400, JSON.stringify(change));
      }
    }
  });

  it('The content security policy omits a host with policy syntax that an older record contains', async () => {
    for (const [index, uri] of HOSTILE.entries()) {
      const request = authorizationRequest(server.issuer, `old-${index}`, { redirect_uri: uri });
      const browser = new Browser();
      const { response } = await browser.visit(request.url);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-security-policy'), contentSecurityPolicy([]));
    }
  });

  it('The form-action and frame-src directives omit hosts with policy syntax and keep the valid ones', () => {
    const sources = [...HOSTILE, 'https://app.example:8443/x', 'com.example.app:/y', 'http://[::1]:3000/'].map(
      formTarget,
    );
    const policy = contentSecurityPolicy(sources, sources).split(';');
    const kept = 'https://app.example:8443 com.example.app: http://[::1]:3000';
    assert.deepEqual(policy.slice(-2), [`form-action 'self' ${kept}`, `frame-src ${kept}`]);
    assert.equal(policy.length, 8);
  });
});
