import assert from 'node:assert/strict';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import {
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  refresh,
  signIn,
  tokenRequest,
  type AuthorizationRequest,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('Authorization code', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer();
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());
  afterEach(returnToPresent);

  /** A request that the signed-in person's browser has brought back a code for. */
  async function authorized(clientId?: string, parameters?: Record<string, string>) {
    const request = authorizationRequest(server.issuer, clientId, parameters);
    return { request, callback: await signIn(alice, request) };
  }

  async function refused(answer: ReturnType<typeof tokenRequest>, error = 'invalid_grant'): Promise<void> {
    const { status, body } = await answer;
    assert.deepEqual([status, body['error']], [400, error]);
    assert.equal(body['access_token'], undefined);
  }

  it('The authorization code arrives with state and iss, and its token response forbids caching', async () => {
    const { request, callback } = await authorized();
    assert.equal(callback.searchParams.get('state'), new URL(request.url).searchParams.get('state'));
    assert.equal(callback.searchParams.get('iss'), server.issuer);
    const { status, body, response } = await exchangeCode(server.issuer, request, callback);
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body).sort(), [
      'access_token',
      'expires_in',
      'id_token',
      'refresh_token',
      'scope',
      'token_type',
    ]);
    assert.equal(body['token_type'], 'Bearer');
    assert.equal(response.headers.get('cache-control'), 'no-store');
  });

  describe('PKCE', () => {
    const withoutChallenge = { code_challenge: '', code_challenge_method: '' };

    it('The server requires PKCE from public clients', async () => {
      const request = authorizationRequest(server.issuer, 'demo-notes', withoutChallenge);
      assert.equal((await answerAtOnce(alice, request))['error'], 'invalid_request');
    });

    it('A client with a secret may omit PKCE, and then its code accepts no verifier', async () => {
      const request = authorizationRequest(server.issuer, 'demo-web', withoutChallenge);
      await refused(exchangeCode(server.issuer, request, await signIn(alice, request)));
      const plain = { ...request, verifier: '' };
      assert.equal((await exchangeCode(server.issuer, plain, await signIn(alice, plain))).status, 200);
    });

    it('The server refuses the plain method, also as the default', async () => {
      for (const method of ['plain', '']) {
        const request = authorizationRequest(server.issuer, 'demo-notes', { code_challenge_method: method });
        assert.equal((await answerAtOnce(alice, request))['error'], 'invalid_request', method);
      }
    });

    it('The token endpoint refuses a wrong or missing verifier and the challenge itself', async () => {
      for (const verifier of ['x'.repeat(43), '', 'challenge']) {
        const { request, callback } = await authorized();
        const challenge = new URL(request.url).searchParams.get('code_challenge') ?? '';
        await refused(
          exchangeCode(
            server.issuer,
            { ...request, verifier: verifier === 'challenge' ? challenge : verifier },
            callback,
          ),
        );
      }
    });
  });

  describe('The redirect URI', () => {
    const variants: Record<string, (uri: string) => string> = {
      'with another path below it': (uri) => `${uri}/more`,
      'with a slash at the end': (uri) => `${uri}/`,
      'with a query': (uri) => `${uri}?next=1`,
      'with a fragment': (uri) => `${uri}#here`,
      'in another letter case': (uri) => uri.replace('callback', 'Callback'),
      'whose path climbs back to itself': (uri) => uri.replace('callback', 'x/../callback'),
      'with a user name': (uri) => uri.replace('localhost', 'localhost@evil.example'),
      'of another scheme': (uri) => uri.replace('http:', 'https:'),
      'of another host': (uri) => uri.replace('localhost', 'localhost.evil.example'),
      'of another port': (uri) => uri.replace(/:\d+/, ':1'),
      'of another app': (uri) => uri.replace(/:(\d+)/, (_, port) => `:${Number(port) + 1}`),
      'that is a script': () => 'javascript:alert(1)',
    };
    for (const [variant, change] of Object.entries(variants)) {
      it(`The server refuses a redirect URI ${variant}, without a redirect`, async () => {
        const { redirectUri } = authorizationRequest(server.issuer);
        const request = authorizationRequest(server.issuer, 'demo-notes', { redirect_uri: change(redirectUri) });
        const response = await alice.request(request.url);
        assert.equal(response.status, 400);
        assert.equal(response.headers.get('location'), null);
        assert.match(await response.text(), /invalid_redirect_uri/);
      });
    }

    it('The error page explains an unregistered redirect URI to the developer without showing it', async () => {
      const evil = 'https://evil.example/verify-your-account';
      const request = authorizationRequest(server.issuer, 'demo-notes', { redirect_uri: evil });
      const page = await (await alice.request(request.url)).text();
      assert.match(page, /an address that is not registered for it\./);
      assert.match(page, /If you develop it, compare its redirect URI with the registered ones/);
      assert.ok(!page.includes('evil.example'));
    });

    it('The error page of a refused sign-out keeps the spelling of the parameter name', async () => {
      const url = `${server.issuer}/logout?client_id=demo-notes&post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F`;
      const page = await (await alice.request(url)).text();
      assert.match(page, /[\s>]post_logout_redirect_uri /);
      assert.doesNotMatch(page, /Post_logout/);
    });

    it('The token endpoint refuses a code with another redirect URI than in the authorization request', async () => {
      const { request, callback } = await authorized();
      const silent = request.redirectUri.replace('/callback', '/silent');
      await refused(exchangeCode(server.issuer, { ...request, redirectUri: silent }, callback));
    });
  });

  it('The token endpoint refuses a code that was issued to another client', async () => {
    const { request, callback } = await authorized();
    await refused(exchangeCode(server.issuer, { ...request, clientId: 'demo-photos' }, callback));
    await refused(exchangeCode(server.issuer, { ...request, clientId: 'demo-web' }, callback));
  });

  it('An authorization code expires after sixty seconds', async () => {
    const [inTime, late] = [await authorized(), await authorized()];
    // Real time passes besides.
    travel(40);
    assert.equal((await exchangeCode(server.issuer, inTime.request, inTime.callback)).status, 200);
    travel(21);
    await refused(exchangeCode(server.issuer, late.request, late.callback));
  });

  it('A replayed authorization code revokes the tokens that it was exchanged for', async () => {
    const { request, callback } = await authorized('demo-photos');
    const { body } = await exchangeCode(server.issuer, request, callback);
    await refused(exchangeCode(server.issuer, request, callback));
    await refused(refresh(server.issuer, String(body['refresh_token']), { client_id: 'demo-photos' }));
    assert.equal((await userinfo(String(body['access_token']))).status, 401);
  });

  it('The token endpoint gives the same error for an invented code and an expired one', async () => {
    const { request, callback } = await authorized();
    const made = new URL(callback);
    made.searchParams.set('code', 'x'.repeat(43));
    const stranger = await exchangeCode(server.issuer, request, made);
    travel(61);
    const late = await exchangeCode(server.issuer, request, callback);
    assert.deepEqual([stranger.status, stranger.body], [late.status, late.body]);
  });

  const errors: Record<string, [Record<string, string>, string]> = {
    'asks for tokens in the front channel': [{ response_type: 'token' }, 'unsupported_response_type'],
    'asks for an ID token in the front channel': [{ response_type: 'code id_token' }, 'unsupported_response_type'],
    'combines prompt=none with another prompt': [{ prompt: 'none login' }, 'invalid_request'],
    'has an unknown prompt': [{ prompt: 'dance' }, 'invalid_request'],
    'has a negative max_age': [{ max_age: '-1' }, 'invalid_request'],
    'contains an unsigned request object': [{ request: 'e30.e30.' }, 'invalid_request_object'],
  };
  for (const [fault, [parameters, error]] of Object.entries(errors)) {
    it(`The redirect URI receives an error if the request ${fault}`, async () => {
      const request = authorizationRequest(server.issuer, 'demo-notes', parameters);
      const answer = await errorAnswer(request);
      assert.equal(answer.get('error'), error);
      assert.equal(answer.get('state'), new URL(request.url).searchParams.get('state'));
      assert.equal(answer.get('code'), null);
    });
  }

  /** The parameters of the answer, wherever the response mode puts them. */
  async function errorAnswer(request: AuthorizationRequest): Promise<URLSearchParams> {
    const page = await alice.visit(request.url, {}, request.redirectUri);
    const { search, hash } = new URL(page.url);
    return new URLSearchParams(search === '' ? hash.slice(1) : search);
  }

  function userinfo(token: string): Promise<Response> {
    return fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } });
  }
});
