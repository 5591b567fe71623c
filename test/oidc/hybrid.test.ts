import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { launchChromium } from '../support/chromium.ts';
import { ALICE, authorizationRequest, signIn, tokenRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

const WEB = 'demo-web:demo-web-secret';

/** The demo's web app comes for everything, and one of its apps in browsers for ID tokens alone. */
function withOldTypes(config: Config): Config {
  const types: Record<string, ClientConfig['response_types']> = {
    'demo-web': ['code', 'code id_token', 'code token', 'code id_token token', 'id_token token'],
    'demo-photos': ['id_token'],
  };
  return {
    ...config,
    clients: config.clients.map((client) => {
      const response_types = types[client.client_id];
      return response_types === undefined
        ? client
        : { ...client, profile: 'legacy', first_party: true, response_types };
    }),
  };
}

/** The left half of the hash, as an ID token names what comes with it (OpenID Connect Core §3.3.2.11). */
function halfHash(value: string | undefined): string {
  const hash = createHash('sha256')
    .update(value ?? '')
    .digest();
  return hash.subarray(0, 16).toString('base64url');
}

describe('Implicit and hybrid response types', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer({ change: withOldTypes });
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());

  const request = (response_type: string, more: Record<string, string> = {}, clientId = 'demo-web') =>
    authorizationRequest(server.issuer, clientId, { response_type, scope: 'openid email', ...more });

  /** What comes back in the fragment, which no server sees. */
  async function fragment(asked: ReturnType<typeof request>): Promise<Record<string, string>> {
    const callback = await signIn(alice, asked);
    assert.equal(callback.search, '');
    return Object.fromEntries(new URLSearchParams(callback.hash.slice(1)));
  }

  const nonceOf = ({ url }: { url: string }): string | null => new URL(url).searchParams.get('nonce');

  it('The metadata lists the response types that clients are registered for or the operator enables', async () => {
    const offered = async ({ issuer }: { issuer: string }) => {
      const response = await fetch(`${issuer}/.well-known/openid-configuration`);
      return ((await response.json()) as Record<string, string[]>)['response_types_supported']?.toSorted();
    };
    const all = ['code', 'code id_token', 'code id_token token', 'code token', 'id_token', 'id_token token'];
    assert.deepEqual(await offered(server), all);
    const deprecated: Config['deprecated'] = { password_grant: false, response_types: ['code id_token'] };
    await using byHand = await startTestServer({ change: (config) => ({ ...config, deprecated }) });
    assert.deepEqual(await offered(byHand), ['code', 'code id_token']);
  });

  it('The access token is opaque and valid for userinfo if the request names no API', async () => {
    for (const type of ['id_token token', 'code token', 'code id_token token']) {
      const answer = await fragment(request(type, { scope: 'openid' }));
      assert.deepEqual([answer['error'], answer['token_type'], answer['scope']], [undefined, 'Bearer', 'openid'], type);
      assert.match(answer['access_token'] ?? '', /^[\w-]{43,}$/);
      const headers = { authorization: `Bearer ${answer['access_token'] ?? ''}` };
      const userinfo = await fetch(`${server.issuer}/userinfo`, { headers });
      assert.equal(userinfo.status, 200);
      assert.match(String(((await userinfo.json()) as Record<string, unknown>)['sub']), /^acc_/);
    }
  });

  it('The server refuses a response type that the client is not registered for, or that nobody uses', async () => {
    for (const clientId of ['demo-notes', 'demo-photos']) {
      const refused = await fragment(request('id_token token', {}, clientId));
      assert.deepEqual([refused['error'], refused['access_token']], ['unauthorized_client', undefined]);
    }
    await using without = await startTestServer();
    const asked = authorizationRequest(without.issuer, 'demo-notes', { response_type: 'code id_token' });
    const page = await new Browser().visit(asked.url, {}, asked.redirectUri);
    assert.equal(new URLSearchParams(new URL(page.url).hash.slice(1)).get('error'), 'unsupported_response_type');
  });

  it('The response type "code id_token" returns a code and an ID token with c_hash, and no access token', async () => {
    const asked = request('code id_token');
    const answer = await fragment(asked);
    assert.equal(answer['access_token'], undefined);
    const { claims } = await verified(server.issuer, answer['id_token'], 'demo-web');
    assert.deepEqual([claims['nonce'], claims['c_hash']], [nonceOf(asked), halfHash(answer['code'])]);
    // The ID token says whose answer it is (RFC 9207 §1), so there is no `iss` beside it.
    assert.deepEqual([claims.iss, answer['iss']], [server.issuer, undefined]);
    const parameters = {
      ...{ grant_type: 'authorization_code', code: answer['code'] ?? '' },
      ...{ redirect_uri: asked.redirectUri, code_verifier: asked.verifier },
    };
    const { body } = await tokenRequest(server.issuer, parameters, WEB);
    const { claims: again } = await verified(server.issuer, String(body['id_token']), 'demo-web');
    assert.deepEqual([again.sub, again['sid'], again['nonce']], [claims.sub, claims['sid'], claims['nonce']]);
    assert.equal((await tokenRequest(server.issuer, parameters, WEB)).body['error'], 'invalid_grant');
  });

  for (const type of ['code id_token token', 'id_token token', 'code token']) {
    it(`The response type "${type}" returns an access token like that of the token endpoint`, async () => {
      const asked = request(type, { scope: 'openid notes:read', resource: apiOf(server.issuer) });
      const answer = await fragment(asked);
      const { claims } = await verified(server.issuer, answer['access_token'], apiOf(server.issuer));
      assert.deepEqual(
        [claims['client_id'], claims['scope'], claims['roles'], claims['acr'], typeof claims['sid']],
        ['demo-web', 'notes:read', ['user'], 'aal1', 'string'],
      );
      assert.deepEqual([answer['refresh_token'], answer['token_type']], [undefined, 'Bearer']);
      assert.equal('code' in answer, type.startsWith('code'));
      if (!type.includes('id_token')) return;
      const { claims: person } = await verified(server.issuer, answer['id_token'], 'demo-web');
      assert.equal(person['at_hash'], halfHash(answer['access_token']));
      assert.deepEqual([person.sub, person['sid']], [claims.sub, claims['sid']]);
    });
  }

  it('The response type "id_token" returns only an ID token', async () => {
    const answer = await fragment(request('id_token', {}, 'demo-photos'));
    assert.deepEqual(Object.keys(answer).sort(), ['id_token', 'state']);
  });

  it('The server requires a nonce if the response contains an ID token', async () => {
    for (const type of ['code id_token', 'id_token token']) {
      const answer = await fragment(request(type, { nonce: '' }));
      assert.deepEqual([answer['error'], answer['id_token']], ['invalid_request', undefined]);
    }
  });

  it('The server refuses response_mode=query for a response with tokens', async () => {
    for (const type of ['id_token token', 'code id_token', 'code token']) {
      const callback = await signIn(alice, request(type, { response_mode: 'query' }));
      const answer = new URLSearchParams(callback.search || callback.hash.slice(1));
      assert.deepEqual([...answer.keys()].toSorted(), ['error', 'error_description', 'iss', 'state']);
      assert.equal(answer.get('error'), 'invalid_request');
    }
  });

  it('The token endpoint refuses codes of a client that is not registered for the code flow', async () => {
    const parameters = { grant_type: 'authorization_code', code: 'x', client_id: 'demo-photos' };
    const { body } = await tokenRequest(server.issuer, parameters);
    assert.equal(body['error'], 'unauthorized_client');
  });

  describe('A form_post response in Chromium', function () {
    this.timeout(60_000);
    let receiver: Server;
    const received: Record<string, string>[] = [];
    before((done) => {
      receiver = createServer((incoming, outgoing) => {
        void text(incoming).then((body) => {
          if (incoming.method === 'POST') received.push(Object.fromEntries(new URLSearchParams(body)));
          outgoing.setHeader('content-type', 'text/html').end('<p>received</p>');
        });
      }).listen(Number(new URL(server.issuer).port) + 4, 'localhost', done);
    });
    after((done) => receiver.close(done));

    it('The form_post response reaches the app on another origin under the policy of the pages', async () => {
      const chromium = await launchChromium();
      try {
        const page = await chromium.newPage();
        const asked = request('code id_token', { response_mode: 'form_post' });
        await page.goto(asked.url);
        await page.getByLabel('Email').fill(ALICE.email);
        await page.getByLabel('Password').fill(ALICE.password);
        await page.keyboard.press('Enter');
        await page.getByText('received').waitFor();
        assert.equal(page.url(), asked.redirectUri);
        const [fields = {}, ...more] = received;
        assert.deepEqual(more, []);
        const { claims } = await verified(server.issuer, fields['id_token'], 'demo-web');
        assert.deepEqual([claims['nonce'], claims['c_hash']], [nonceOf(asked), halfHash(fields['code'])]);
      } finally {
        await chromium.close();
      }
    });
  });
});
