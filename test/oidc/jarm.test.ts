import assert from 'node:assert/strict';
import { compactDecrypt, decodeProtectedHeader, exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose';
import type { Browser as Chromium } from 'playwright-core';
import type { ClientConfig } from '../../src/config/schema.ts';
import { Browser, formOf } from '../support/browser.ts';
import { launchChromium } from '../support/chromium.ts';
import { ALICE, authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { verified } from '../support/tokens.ts';

describe('Signed authorization responses (JARM)', () => {
  let server: TestServer;
  let alice: Browser;
  let privateKey: CryptoKey;
  before(async () => {
    const pair = await generateKeyPair('ECDH-ES+A256KW', { extractable: true });
    ({ privateKey } = pair);
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'enc', use: 'enc', alg: 'ECDH-ES+A256KW' } satisfies JWK;
    const encrypted: Partial<ClientConfig> = {
      jwks: { keys: [jwk as JWK & { kty: 'EC' }] },
      authorization_signed_response_alg: 'RS256',
      authorization_encrypted_response_alg: 'ECDH-ES+A256KW',
      authorization_encrypted_response_enc: 'A256GCM',
    };
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.map((client) =>
          client.client_id === 'demo-web' ? { ...client, ...encrypted } : client,
        ),
      }),
    });
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());

  const ask = (mode: string, clientId = 'demo-notes', parameters: Record<string, string> = {}) =>
    authorizationRequest(server.issuer, clientId, { response_mode: mode, ...parameters });

  async function opened(response: string | null, clientId = 'demo-notes') {
    return (await verified(server.issuer, response ?? '', clientId)).claims;
  }

  it('The signed authorization response contains code, state and iss, for one client and a few minutes', async () => {
    for (const mode of ['jwt', 'query.jwt']) {
      const request = ask(mode, 'demo-notes', { state: 'of-the-app' });
      const callback = await signIn(alice, request);
      assert.deepEqual([...callback.searchParams.keys()], ['response']);
      const claims = await opened(callback.searchParams.get('response'));
      assert.deepEqual([claims['state'], claims.aud, claims.iss], ['of-the-app', 'demo-notes', server.issuer]);
      assert.ok((claims.exp ?? Infinity) - Date.now() / 1000 < 600);
      callback.searchParams.set('code', String(claims['code']));
      assert.equal((await exchangeCode(server.issuer, request, callback)).status, 200);
    }
  });

  it('The signed authorization response arrives in the fragment or in a form if the client requests it', async () => {
    const callback = await signIn(alice, ask('fragment.jwt'));
    const fragment = new URLSearchParams(callback.hash.slice(1));
    assert.equal(typeof (await opened(fragment.get('response')))['code'], 'string');
    const request = ask('form_post.jwt');
    const { action, hidden } = formOf(await alice.visit(request.url));
    assert.equal(action, request.redirectUri);
    assert.equal(typeof (await opened(hidden['response'] ?? ''))['code'], 'string');
  });

  it('An error response of the authorization endpoint is signed, too', async () => {
    const callback = await signIn(alice, ask('jwt', 'demo-notes', { prompt: 'none', max_age: '0' }));
    assert.deepEqual([...callback.searchParams.keys()], ['response']);
    assert.equal(typeof (await opened(callback.searchParams.get('response')))['error'], 'string');
  });

  it('The signed authorization response is encrypted if the client has registered an encryption key', async () => {
    const callback = await signIn(alice, ask('jwt', 'demo-web'));
    const response = callback.searchParams.get('response') ?? '';
    assert.equal(decodeProtectedHeader(response).enc, 'A256GCM');
    const { plaintext } = await compactDecrypt(response, privateKey);
    const { header, claims } = await verified(server.issuer, new TextDecoder().decode(plaintext), 'demo-web');
    assert.deepEqual([header.alg, typeof claims['code']], ['RS256', 'string']);
  });

  it('A signed response has no plain parameters, and a plain response still has iss', async () => {
    const callback = await signIn(alice, ask('jwt'));
    assert.deepEqual([callback.searchParams.get('code'), callback.searchParams.get('iss')], [null, null]);
    const plain = await signIn(alice, ask('query'));
    assert.equal(plain.searchParams.get('iss'), server.issuer);
  });

  it('The metadata advertises the algorithms and modes of signed authorization responses', async () => {
    const response = await fetch(`${server.issuer}/.well-known/openid-configuration`);
    const document = (await response.json()) as Record<string, string[]>;
    assert.deepEqual(document['authorization_signing_alg_values_supported'], ['ES256', 'RS256']);
    for (const mode of ['query', 'fragment', 'form_post', 'jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt'])
      assert.ok(document['response_modes_supported']?.includes(mode), mode);
  });

  describe('In Chromium', () => {
    let chromium: Chromium;
    before(async () => {
      chromium = await launchChromium();
    });
    after(() => chromium.close());

    for (const [mode, name] of [
      ['form_post', 'code'],
      ['form_post.jwt', 'response'],
    ] as const) {
      it(`A ${mode} response reaches its app under the policy of the pages`, async () => {
        const page = await chromium.newPage();
        const complaints: string[] = [];
        page.on('console', (message) => complaints.push(message.text()));
        const request = ask(mode, 'demo-photos');
        let posted = '';
        await page.route(`${request.redirectUri}*`, async (route) => {
          posted = route.request().postData() ?? '';
          await route.fulfill({ contentType: 'text/plain', body: 'back at the app' });
        });
        await page.goto(request.url);
        await page.locator('[autofocus]:focus').waitFor();
        await page.fill('input[name=email]', ALICE.email);
        await page.fill('input[name=password]', ALICE.password);
        await page.locator('button.primary').click();
        await page.waitForURL(`${request.redirectUri}*`);
        assert.ok(new URLSearchParams(posted).has(name), posted);
        assert.deepEqual(complaints, []);
        await page.close();
      });
    }
  });
});
