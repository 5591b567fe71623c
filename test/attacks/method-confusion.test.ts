import assert from 'node:assert/strict';
import { SignJWT, type JWTPayload } from 'jose';
import { CIBA_GRANT, clientSchema, DEVICE_GRANT } from '../../src/config/sections/client-schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { startLogoutReceiver, type LogoutReceiver } from '../oidc/logout-receiver.ts';
import { Receiver } from '../signals/signals-setup.ts';
import { placeOf } from '../status/published-lists.ts';
import { Browser } from '../support/browser.ts';
import { newHolder, proof } from '../support/dpop.ts';
import {
  ALICE,
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  signIn,
  tokenRequest,
  tokensFor,
  type TokenAnswer,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { clientKey, requestObject, type ClientKey } from '../support/signed-request.ts';

const WEB = 'demo-web:demo-web-secret';
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** Long enough to sign with, which only the client that is registered for it may do. */
const SECRET = 'a-secret-of-thirty-two-characters-and-more';

/** All that a person can be asked by. */
const GRANTS = ['authorization_code', 'refresh_token', DEVICE_GRANT, CIBA_GRANT] as const;

const KEYED = 'https://keyed.example/callback';

/** Everything that this server hands out, or takes from a client, of one and the same person and client. */
const THINGS = [
  ...['code', 'opaque access token', 'access token', 'ID token', 'refresh token', 'logout token'],
  ...['signed answer', 'signed userinfo', 'client assertion', 'signed request', 'DPoP proof'],
  ...['device code', 'CIBA request', 'pushed request', 'status list', 'security event'],
] as const;
type Thing = (typeof THINGS)[number];

/** RFC 8725 §3.12: what is good in one place must be good in no other. */
describe('Confusion of tokens and methods (RFC 9700 §4.5, RFC 8725 §3.12)', () => {
  let server: TestServer;
  let receiver: LogoutReceiver;
  let alice: Browser;
  let key: ClientKey;
  let things: Record<Thing, string>;

  before(async () => {
    [receiver, key] = [await startLogoutReceiver(), await clientKey()];
    server = await startTestServer({
      change: (config) => ({
        ...config,
        outgoing: { allow: [receiver.host] },
        shared_signals: { ...config.shared_signals, enabled: true },
        clients: [
          ...config.clients.map((client) =>
            client.client_id === 'demo-web'
              ? {
                  ...client,
                  jwks: key.jwks,
                  grant_types: [...GRANTS, 'client_credentials' as const],
                  shared_signals: { events: [], accounts: 'own' as const },
                  backchannel_logout_uri: receiver.uri,
                  userinfo_signed_response_alg: 'ES256' as const,
                }
              : client,
          ),
          clientSchema.parse({
            ...{ client_id: 'keyed', client_name: 'Keyed', type: 'web', jwks: key.jwks, redirect_uris: [KEYED] },
            ...{ token_endpoint_auth_method: 'private_key_jwt' },
            grant_types: ['authorization_code', 'client_credentials'],
          }),
          clientSchema.parse({
            ...{ client_id: 'plain', client_name: 'Plain', type: 'machine', secret: new Secret(SECRET) },
          }),
        ],
      }),
    });
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer, 'demo-web'));
    things = await gather();
  });
  after(async () => {
    await server.close();
    await receiver.close();
  });

  async function logoutToken(): Promise<string> {
    const browser = new Browser();
    const { id_token = '' } = await tokensFor(server.issuer, { clientId: 'demo-web', browser });
    await browser.visit(`${server.issuer}/logout?id_token_hint=${id_token}`);
    await receiver.whenReceived(1);
    return receiver.received[0]?.body.get('logout_token') ?? '';
  }

  async function gather(): Promise<Record<Thing, string>> {
    const { issuer } = server;
    const request = authorizationRequest(issuer, 'demo-web');
    const tokens = (await exchangeCode(issuer, request, await signIn(alice, request))).body as Record<string, string>;
    const api = new URL(issuer);
    api.port = String(Number(api.port) + 3);
    const forApi = await tokensFor(issuer, {
      clientId: 'demo-web',
      browser: alice,
      parameters: { scope: 'openid notes:read', resource: api.origin },
    });
    const userinfo = await fetch(`${issuer}/userinfo`, {
      headers: { authorization: `Bearer ${tokens['access_token'] ?? ''}` },
    });
    const signed = await answerAtOnce(alice, authorizationRequest(issuer, 'demo-web', { response_mode: 'jwt' }));
    const withoutPkce = authorizationRequest(issuer, 'demo-web', { code_challenge: '', code_challenge_method: '' });
    // Of a client that proves itself with the same key: nothing but its claims tells it from an assertion.
    const claims = { client_id: 'keyed', redirect_uri: KEYED, jti: crypto.randomUUID() };
    return {
      code: (await answerAtOnce(alice, withoutPkce))['code'] ?? '',
      'opaque access token': tokens['access_token'] ?? '',
      'access token': forApi['access_token'] ?? '',
      'ID token': tokens['id_token'] ?? '',
      'refresh token': tokens['refresh_token'] ?? '',
      'logout token': await logoutToken(),
      'signed answer': signed['response'] ?? '',
      'signed userinfo': await userinfo.text(),
      'client assertion': await assertionOf('keyed'),
      'signed request': await requestObject({ ...request, clientId: 'keyed' }, { key: key.privateKey, issuer, claims }),
      'DPoP proof': await proof(await newHolder(), { htm: 'POST', htu: `${issuer}/token` }),
      'device code': await handle('/device_authorization', 'device_code', { scope: 'openid' }),
      'CIBA request': await handle('/backchannel_authentication', 'auth_req_id', {
        ...{ scope: 'openid', login_hint: ALICE.email },
      }),
      'pushed request': await handle('/par', 'request_uri', Object.fromEntries(new URL(request.url).searchParams)),
      'status list': await (await fetch(placeOf(forApi['access_token']).uri)).text(),
      'security event': await securityEvent(),
    };
  }

  async function securityEvent(): Promise<string> {
    const signals = await Receiver.of(server.issuer, 'demo-web');
    const stream = await signals.stream({});
    assert.equal((await signals.call('POST', '/ssf/verification', { stream_id: stream })).status, 204);
    return Object.values((await signals.poll(stream)).sets)[0] ?? assert.fail('no event came');
  }

  /** What an endpoint gives the client to come back with. */
  async function handle(path: string, name: string, parameters: Record<string, string>): Promise<string> {
    const answer = await fetch(`${server.issuer}${path}`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(WEB)}` },
      body: new URLSearchParams(parameters),
    });
    return ((await answer.json()) as Record<string, string>)[name] ?? assert.fail(`${path}: ${answer.status}`);
  }

  function assertionOf(client: string, changed: JWTPayload = {}, secret?: string): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    const usual = { iss: client, sub: client, aud: server.issuer, jti: crypto.randomUUID(), iat: now, exp: now + 60 };
    return new SignJWT({ ...usual, ...changed })
      .setProtectedHeader({ alg: secret === undefined ? 'ES256' : 'HS256' })
      .sign(secret === undefined ? key.privateKey : new TextEncoder().encode(secret));
  }

  const web = (parameters: Record<string, string>): Promise<TokenAnswer> =>
    tokenRequest(server.issuer, parameters, WEB);
  const tokenError = async (asked: Promise<TokenAnswer>): Promise<unknown> => {
    const { status, body } = await asked;
    assert.deepEqual([status >= 400 && status < 500, body['access_token']], [true, undefined], JSON.stringify(body));
    return body['error'];
  };

  /** Each place: what belongs there, and how the server refuses everything else. */
  const PLACES: Record<string, { takes: readonly Thing[]; refuses: (value: string) => Promise<void> }> = {
    'the code': {
      takes: ['code'],
      async refuses(code) {
        const { redirectUri: redirect_uri } = authorizationRequest(server.issuer, 'demo-web');
        assert.equal(await tokenError(web({ grant_type: 'authorization_code', code, redirect_uri })), 'invalid_grant');
      },
    },
    'the refresh token': {
      takes: ['refresh token'],
      async refuses(refresh_token) {
        assert.equal(await tokenError(web({ grant_type: 'refresh_token', refresh_token })), 'invalid_grant');
      },
    },
    'the device code': {
      takes: ['device code'],
      async refuses(device_code) {
        assert.equal(await tokenError(web({ grant_type: DEVICE_GRANT, device_code })), 'invalid_grant');
      },
    },
    'the CIBA request': {
      takes: ['CIBA request'],
      async refuses(auth_req_id) {
        assert.equal(await tokenError(web({ grant_type: CIBA_GRANT, auth_req_id })), 'invalid_grant');
      },
    },
    'the pushed request': {
      takes: ['pushed request'],
      async refuses(value) {
        const handles = value.startsWith('urn:') ? [value] : [value, `urn:ietf:params:oauth:request_uri:${value}`];
        for (const request_uri of handles) {
          const query = new URLSearchParams({ client_id: 'demo-web', request_uri }).toString();
          const answer = await alice.request(`${server.issuer}/authorize?${query}`);
          const error = `${answer.headers.get('location') ?? ''}${await answer.text()}`;
          assert.match(error, /invalid_request_uri|request_uri_not_supported|invalid_request\b/);
        }
      },
    },
    'the token at /userinfo': {
      takes: ['opaque access token'],
      async refuses(token) {
        const answer = await fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } });
        assert.equal(answer.status, 401);
      },
    },
    'the client assertion': {
      takes: ['client assertion'],
      async refuses(client_assertion) {
        const shown = { client_assertion_type: ASSERTION, client_assertion };
        for (const client_id of ['keyed', 'demo-web']) {
          const error = await tokenError(
            tokenRequest(server.issuer, { grant_type: 'client_credentials', client_id, ...shown }),
          );
          // The latter where it names another client, or is no JWT.
          assert.match(String(error), /^invalid_(client|request)$/);
        }
      },
    },
    'the signed request': {
      takes: ['signed request'],
      async refuses(request) {
        const url = `${server.issuer}/authorize?${new URLSearchParams({ client_id: 'keyed', redirect_uri: KEYED, request }).toString()}`;
        const page = await alice.visit(url, {}, KEYED);
        assert.equal(new URL(page.url).searchParams.get('error'), 'invalid_request_object');
      },
    },
    'the ID token that is a hint at /authorize': {
      takes: ['ID token', 'signed userinfo'],
      async refuses(id_token_hint) {
        const request = authorizationRequest(server.issuer, 'demo-web', { id_token_hint, prompt: 'none' });
        assert.equal((await answerAtOnce(alice, request))['error'], 'invalid_request');
      },
    },
    'the token at /introspect': {
      takes: ['opaque access token', 'access token', 'refresh token'],
      async refuses(token) {
        const answer = await fetch(`${server.issuer}/introspect`, {
          method: 'POST',
          headers: { authorization: `Basic ${btoa(WEB)}` },
          body: new URLSearchParams({ token }),
        });
        const { active = false } = (await answer.json()) as { active?: boolean };
        assert.equal(active, false);
      },
    },
    'the ID token that is a hint at /logout': {
      takes: ['ID token', 'signed userinfo'],
      async refuses(id_token_hint) {
        const page = await alice.visit(`${server.issuer}/logout?id_token_hint=${encodeURIComponent(id_token_hint)}`);
        assert.equal(page.status, 400);
        assert.doesNotMatch(page.html, /signed out/i);
      },
    },
    'the DPoP proof': {
      takes: ['DPoP proof'],
      async refuses(dpop) {
        const answer = await fetch(`${server.issuer}/token`, {
          method: 'POST',
          headers: { dpop, authorization: `Basic ${btoa('demo-service:demo-service-secret')}` },
          body: new URLSearchParams({ grant_type: 'client_credentials' }),
        });
        const { error } = (await answer.json()) as Record<string, string>;
        assert.deepEqual([answer.status, error], [400, 'invalid_dpop_proof']);
      },
    },
  };

  for (const [place, { takes, refuses }] of Object.entries(PLACES)) {
    for (const thing of THINGS.filter((name) => !takes.includes(name))) {
      it(`The server refuses the ${thing} in place of ${place}`, async () => {
        await refuses(things[thing]);
      });
    }
  }

  it('The server accepts each token in its own place', async () => {
    const fresh = await gather();
    // The last one signs the person out, and ends what came before.
    for (const [place, { takes, refuses }] of Object.entries(PLACES)) {
      const value = takes[0] && fresh[takes[0]];
      await assert.rejects(refuses(value ?? ''), assert.AssertionError, place);
    }
  });

  describe('Client authentication', () => {
    const machine = (parameters: Record<string, string>, basic?: string) =>
      tokenError(tokenRequest(server.issuer, { grant_type: 'client_credentials', ...parameters }, basic));

    it('A client ID alone does not authenticate a client that has a secret or a key', async () => {
      for (const client_id of ['plain', 'keyed', 'demo-web', 'demo-service'])
        assert.equal(await machine({ client_id }), 'invalid_client');
    });

    it('A secret does not authenticate a client that signs, nor a signature a client that sends its secret', async () => {
      const client_assertion_type = ASSERTION;
      assert.equal(await machine({}, 'keyed:anything'), 'invalid_client');
      assert.equal(await machine({ client_id: 'keyed', client_secret: 'anything' }), 'invalid_client');
      const bySecret = await assertionOf('plain', {}, SECRET);
      assert.equal(await machine({ client_assertion_type, client_assertion: bySecret }), 'invalid_client');
    });

    it('A client’s credentials do not authenticate another client that the request names', async () => {
      const client_assertion = await assertionOf('keyed');
      const both = { client_assertion_type: ASSERTION, client_assertion, client_id: 'plain' };
      assert.match(String(await machine(both)), /^invalid_(client|request)$/);
      assert.equal(await machine({ client_id: 'plain' }, 'demo-service:demo-service-secret'), 'invalid_request');
    });

    it('The token endpoint refuses two authentication methods at once, even if both are right', async () => {
      assert.equal(await machine({ client_id: 'plain', client_secret: SECRET }, `plain:${SECRET}`), 'invalid_request');
    });

    it('The token endpoint refuses a client assertion with the wrong assertion type', async () => {
      const client_assertion = await assertionOf('keyed');
      for (const type of ['', 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer'])
        assert.match(
          String(await machine({ client_id: 'keyed', client_assertion_type: type, client_assertion })),
          /^invalid_(client|request)$/,
        );
    });
  });

  describe('The grant type', () => {
    it('The token endpoint ignores the parameters of other grant types and refuses two grant types at once', async () => {
      const request = authorizationRequest(server.issuer, 'demo-web');
      const code = (await signIn(alice, request)).searchParams.get('code') ?? '';
      const all = { code, redirect_uri: request.redirectUri, code_verifier: request.verifier };
      assert.equal(
        await tokenError(web({ grant_type: 'refresh_token', refresh_token: 'made-up', ...all })),
        'invalid_grant',
      );
      const twice = new URLSearchParams({ grant_type: 'authorization_code', ...all });
      twice.append('grant_type', 'refresh_token');
      const answer = await fetch(`${server.issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(WEB)}` },
        body: twice,
      });
      assert.deepEqual([answer.status, ((await answer.json()) as { error: string }).error], [400, 'invalid_request']);
      // It was not used up by either.
      assert.equal((await web({ grant_type: 'authorization_code', ...all })).status, 200);
    });
  });
});
