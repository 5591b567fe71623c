import assert from 'node:assert/strict';
import { UnsecuredJWT } from 'jose';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { answerAtOnce, authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import {
  clientKey,
  requestObject,
  withRequestObject,
  type ClientKey,
  type SignedRequestOptions,
} from '../support/signed-request.ts';

describe('Request objects (RFC 9101)', () => {
  let server: TestServer;
  let alice: Browser;
  let key: ClientKey;
  before(async () => {
    key = await clientKey();
    const rules: Record<string, object> = {
      'demo-notes': { jwks: key.jwks },
      'demo-photos': { jwks: key.jwks, require_signed_request_object: true },
      'demo-web': { jwks: key.jwks, request_object_signing_alg: 'ES256', require_signed_request_object: true },
    };
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.map((client) => ({ ...client, ...rules[client.client_id] })),
      }),
    });
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());
  afterEach(returnToPresent);

  const ask = (clientId = 'demo-notes', parameters: Record<string, string> = {}) =>
    authorizationRequest(server.issuer, clientId, parameters);

  function signed(request: ReturnType<typeof ask>, options: Partial<SignedRequestOptions> = {}): Promise<string> {
    return requestObject(request, { key: key.privateKey, issuer: server.issuer, ...options });
  }

  /** What the app or, where it must not be told, the person hears; never a code. */
  async function refusal(request: ReturnType<typeof ask>): Promise<string> {
    const page = await alice.visit(request.url, {}, request.redirectUri);
    const answer = new URL(page.url).searchParams;
    assert.equal(answer.get('code'), null, `${page.url} for ${request.url}`);
    return answer.get('error') ?? /Error code<\/dt><dd>([a-z_]+)/.exec(page.html)?.[1] ?? `a page: ${page.html}`;
  }

  async function push(clientId: string, parameters: Record<string, string>) {
    const response = await fetch(`${server.issuer}/par`, {
      method: 'POST',
      headers: clientId === 'demo-web' ? { authorization: `Basic ${btoa('demo-web:demo-web-secret')}` } : {},
      body: new URLSearchParams({ client_id: clientId, ...parameters }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  it('The server answers a signed request like plain parameters', async () => {
    const request = ask();
    const carried = withRequestObject(request, await signed(request));
    const { status } = await exchangeCode(server.issuer, request, await signIn(alice, carried));
    assert.equal(status, 200);
  });

  it('The server ignores parameters beside a signed request', async () => {
    const request = ask('demo-notes', { scope: 'openid', state: 'signed' });
    const beside = { scope: 'openid email profile', state: 'beside', redirect_uri: request.redirectUri };
    const carried = withRequestObject(request, await signed(request), beside);
    const callback = await signIn(alice, carried);
    assert.equal(callback.searchParams.get('state'), 'signed');
    const { body } = await exchangeCode(server.issuer, request, callback);
    assert.equal(body['scope'], 'openid');
  });

  it('The server refuses an unsigned request of a client that must sign', async () => {
    assert.equal(await refusal(ask('demo-photos')), 'invalid_request');
    const { status, body } = await push(
      'demo-photos',
      Object.fromEntries(new URL(ask('demo-photos').url).searchParams),
    );
    assert.deepEqual([status, body['error']], [400, 'invalid_request']);
  });

  it('The server refuses a request object with a missing or wrong signature', async () => {
    const request = ask('demo-photos');
    const stranger = await clientKey();
    const rsa = await clientKey('RS256');
    const parameters = Object.fromEntries(new URL(request.url).searchParams);
    const unsigned = new UnsecuredJWT({ ...parameters, iss: 'demo-photos', aud: server.issuer })
      .setExpirationTime('5m')
      .encode();
    const [head, payload] = (await signed(request)).split('.');
    const attempts = {
      'alg none': unsigned,
      'another key': await signed(request, { key: stranger.privateKey }),
      'a key of another type': await signed(request, { key: rsa.privateKey, header: { alg: 'RS256' } }),
      'the public key as a secret': await signed(request, {
        key: new TextEncoder().encode(JSON.stringify(key.jwks.keys[0])),
        header: { alg: 'HS256' },
      }),
      'no signature left': `${head}.${payload}.`,
      'no JWT': 'request',
    };
    for (const [what, object] of Object.entries(attempts))
      assert.equal(await refusal(withRequestObject(request, object)), 'invalid_request_object', what);
  });

  it('The server refuses a request object with a wrong claim or type', async () => {
    const request = ask();
    const now = Math.floor(Date.now() / 1000);
    const attempts: Record<string, Partial<SignedRequestOptions>> = {
      'another client inside': { claims: { client_id: 'demo-photos' } },
      'another issuer': { claims: { iss: 'demo-photos' } },
      'no issuer': { claims: { iss: undefined } },
      'another audience': { claims: { aud: 'https://other.example' } },
      'no audience': { claims: { aud: undefined } },
      'no end': { claims: { exp: undefined } },
      'a far end': { claims: { exp: now + 7200 } },
      'an end that has come': { claims: { exp: now - 20 } },
      'a beginning that has not come': { claims: { nbf: now + 600 } },
      'a request inside': { claims: { request: 'e30.e30.' } },
      'an address inside': { claims: { request_uri: 'https://app.example/request' } },
      'another type of JWT': { header: { typ: 'at+jwt' } },
      'the client as its subject': { claims: { sub: 'demo-notes' } },
    };
    for (const [what, options] of Object.entries(attempts)) {
      const object = await signed(request, options);
      assert.equal(await refusal(withRequestObject(request, object)), 'invalid_request_object', what);
    }
  });

  it('The error names the accepted audience of a request object, at /authorize and at /par', async () => {
    const request = ask();
    for (const aud of ['https://other.example', `${server.issuer}/authorize`, ['https://other.example'], undefined]) {
      const carried = withRequestObject(request, await signed(request, { claims: { aud } }));
      const { html } = await alice.visit(carried.url, {}, request.redirectUri);
      assert.ok(html.includes(`the audience (aud) must be ${server.issuer}.`), `${String(aud)}: ${html}`);
    }
    const pushed = ask('demo-web');
    const object = await signed(pushed, { claims: { aud: `${server.issuer}/par` } });
    const { status, body } = await push('demo-web', { request: object });
    assert.deepEqual([status, body['error']], [400, 'invalid_request_object']);
    assert.match(String(body['error_description']), new RegExp(`the audience \\(aud\\) must be ${server.issuer}$`));
    const expired = await signed(pushed, { claims: { exp: 1 } });
    assert.doesNotMatch(String((await push('demo-web', { request: expired })).body['error_description']), /audience/);
  });

  it('The client_id is required beside a request object, and inside a pushed one (RFC 9101 §5, RFC 9126 §3)', async () => {
    const request = ask();
    const url = new URL(withRequestObject(request, await signed(request)).url);
    url.searchParams.delete('client_id');
    assert.equal(await refusal({ ...request, url: url.href }), 'invalid_request');
    const pushed = ask('demo-web');
    for (const client_id of ['demo-notes', undefined]) {
      const { status, body } = await push('demo-web', { request: await signed(pushed, { claims: { client_id } }) });
      assert.deepEqual([status, body['error']], [400, 'invalid_request_object'], String(client_id));
    }
  });

  it('The server refuses an unregistered redirect URI in a request object', async () => {
    const request = ask();
    const object = await signed(request, { claims: { redirect_uri: 'https://evil.example/' } });
    assert.equal(await refusal(withRequestObject(request, object)), 'invalid_redirect_uri');
  });

  it('A request object with a jti works once, and a forged one does not use it up', async () => {
    const request = ask();
    const claims = { jti: 'a-name' };
    const forged = await signed(request, { claims, key: (await clientKey()).privateKey });
    assert.equal(await refusal(withRequestObject(request, forged)), 'invalid_request_object');
    const carried = withRequestObject(request, await signed(request, { claims }));
    assert.ok('code' in (await answerAtOnce(alice, carried)));
    assert.equal(await refusal(carried), 'invalid_request_object');
  });

  it('Only one of several simultaneous uses of a request object with a jti receives a code', async () => {
    const request = ask();
    const carried = withRequestObject(request, await signed(request, { claims: { jti: 'another-name' } }));
    const answers = await Promise.all(Array.from({ length: 5 }, () => answerAtOnce(alice, carried)));
    assert.equal(answers.filter((answer) => answer['code'] !== undefined).length, 1);
  });

  it('A pushed request object keeps its signed parameters', async () => {
    const request = ask('demo-web');
    const { status, body } = await push('demo-web', { request: await signed(request, { claims: { jti: 'pushed' } }) });
    assert.equal(status, 201, JSON.stringify(body));
    const url = new URL('/authorize', server.issuer);
    const pushed = { client_id: 'demo-web', request_uri: String(body['request_uri']), scope: 'openid roles' };
    url.search = new URLSearchParams(pushed).toString();
    const callback = await signIn(alice, { ...request, url: url.href });
    const answer = await exchangeCode(server.issuer, request, callback);
    assert.deepEqual([answer.status, answer.body['scope']], [200, 'openid profile email']);
  });

  it('An expired request object makes its request_uri unusable', async () => {
    const request = ask('demo-web');
    const exp = Math.floor(Date.now() / 1000) + 20;
    const { body } = await push('demo-web', { request: await signed(request, { claims: { exp } }) });
    travel(21);
    const url = new URL('/authorize', server.issuer);
    url.search = new URLSearchParams({ client_id: 'demo-web', request_uri: String(body['request_uri']) }).toString();
    assert.equal(await refusal({ ...request, url: url.href }), 'invalid_request_uri');
  });

  it('The server fetches no request object from a URL', async () => {
    const url = new URL(ask().url);
    url.searchParams.set('request_uri', `${server.issuer}/healthz`);
    assert.equal(await refusal({ ...ask(), url: url.href }), 'request_uri_not_supported');
  });

  it('The metadata advertises the signing algorithms of request objects and no encryption', async () => {
    const response = await fetch(`${server.issuer}/.well-known/openid-configuration`);
    const document = (await response.json()) as Record<string, unknown>;
    assert.deepEqual(document['request_object_signing_alg_values_supported'], [
      'ES256',
      'RS256',
      'PS256',
      'EdDSA',
      'Ed25519',
    ]);
    assert.equal(document['request_parameter_supported'], true);
    assert.equal(document['request_uri_parameter_supported'], false);
    assert.equal(document['request_object_encryption_alg_values_supported'], undefined);
  });
});
