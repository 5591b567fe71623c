import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { authorizationRequest, refresh, signIn, tokenRequest } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { invite, openToAll, REDIRECT, register, send, type Answer } from './registering.ts';

const EC = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
const SHORT = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
const LONG = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });

const UNFIT_KEYS: Record<string, [key: object, reason: RegExp]> = {
  'has 1024 bits': [SHORT, /this one has 1024/],
  'has the exponent 1': [{ ...LONG, e: 'AQ' }, /odd public exponent/],
  'is off its curve': [{ ...EC, x: EC.y, y: EC.x }, /on its curve/],
  'is for encryption where it must sign': [{ ...EC, use: 'enc' }, /needs a key that verifies signatures/],
  'may not verify': [{ ...EC, key_ops: ['deriveBits'] }, /needs a key that verifies signatures/],
};

describe('Dynamic registration', () => {
  describe('Open registration', () => {
    let server: TestServer;
    before(async () => {
      server = await startTestServer({ change: openToAll({ max_per_hour: 10_000, resources: [] }) });
    });
    after(() => server.close());

    const discovery = async (issuer: string): Promise<Record<string, unknown>> =>
      (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as Record<string, unknown>;

    it('The server’s metadata names the registration endpoint', async () => {
      assert.equal((await discovery(server.issuer))['registration_endpoint'], `${server.issuer}/register`);
    });

    it('The registration response has the metadata, a secret and a registration access token, and no cache may keep it', async () => {
      const { status, body, headers } = await register(server, {
        client_name: 'Shop',
        client_uri: 'https://app.example',
      });
      assert.equal(status, 201, JSON.stringify(body));
      assert.equal(headers.get('cache-control'), 'no-store');
      const { client_id: id, client_id_issued_at: at, client_secret: secret, ...rest } = body;
      const { registration_access_token: token, ...metadata } = rest;
      assert.match(String(id), /^client_\w{41}$/);
      assert.ok(Math.abs(Number(at) - Date.now() / 1000) < 60);
      for (const text of [secret, token]) assert.match(String(text), /^[\w-]{43}$/);
      assert.deepEqual(metadata, {
        client_name: 'Shop',
        client_uri: 'https://app.example',
        client_secret_expires_at: 0,
        registration_client_uri: `${server.issuer}/register/${String(id)}`,
        redirect_uris: [REDIRECT],
        post_logout_redirect_uris: [],
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: ['authorization_code'],
        response_types: ['code'],
        scope: 'openid profile email offline_access',
        id_token_signed_response_alg: 'RS256',
        application_type: 'web',
        require_auth_time: true,
      });
    });

    async function signedIn({ body }: Answer): Promise<Record<string, unknown>> {
      const request = authorizationRequest(server.issuer, String(body['client_id']), { redirect_uri: REDIRECT });
      const callback = await signIn(new Browser(), request);
      const secret = body['client_secret'];
      const { status, body: tokens } = await tokenRequest(
        server.issuer,
        {
          grant_type: 'authorization_code',
          code: callback.searchParams.get('code') ?? '',
          redirect_uri: REDIRECT,
          code_verifier: request.verifier,
          ...(secret === undefined && { client_id: request.clientId }),
        },
        typeof secret === 'string' ? `${request.clientId}:${secret}` : undefined,
      );
      assert.equal(status, 200, JSON.stringify(tokens));
      return tokens;
    }

    it('A registered client signs people in with its secret', async () => {
      const tokens = await signedIn(await register(server));
      assert.deepEqual([typeof tokens['id_token'], tokens['refresh_token']], ['string', undefined]);
    });

    it('A registered client without a secret can refresh its tokens', async () => {
      const answer = await register(server, {
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
      });
      assert.deepEqual([answer.body['client_secret'], answer.body['client_secret_expires_at']], [undefined, undefined]);
      const { refresh_token: token } = await signedIn(answer);
      const again = await refresh(server.issuer, String(token), { client_id: String(answer.body['client_id']) });
      assert.equal(again.status, 200);
    });

    it('People must always consent to a client that registered itself', async () => {
      const { body } = await register(server, { first_party: true, latchkey_policy: { firstParty: true } });
      const request = authorizationRequest(server.issuer, String(body['client_id']), { redirect_uri: REDIRECT });
      const browser = new Browser();
      const page = await browser.submit(
        await browser.visit(request.url),
        { email: 'alice@example.com', password: 'latchkey-demo' },
        REDIRECT,
      );
      assert.match(page.html, /Allow <bdi>/);
    });

    it('The server drops scopes, grant types and members that such a client may not have', async () => {
      const { status, body } = await register(server, {
        scope: 'openid roles notes:read admin',
        grant_types: ['authorization_code', 'client_credentials', 'password'],
        type: 'machine',
        resources: ['http://localhost:3003'],
        introspection: true,
        software_id: 'x',
        unheard_of: { of: true },
        constructor: { prototype: {} },
      });
      assert.equal(status, 201);
      assert.deepEqual([body['scope'], body['grant_types']], ['openid', ['authorization_code']]);
      const { body: read } = await send(String(body['registration_client_uri']), {
        method: 'GET',
        token: body['registration_access_token'],
      });
      for (const name of ['type', 'resources', 'introspection', 'software_id', 'unheard_of', 'first_party'])
        assert.deepEqual([body[name], read[name]], [undefined, undefined], name);
    });

    const refused: [string, object | string, string, RegExp][] = [
      ['no redirect URI', { redirect_uris: undefined }, 'invalid_redirect_uri', /redirect_uris needs at least one/],
      [
        'a wildcard in a redirect URI',
        { redirect_uris: ['https://*.example/cb'] },
        'invalid_redirect_uri',
        /\[0\] must not have a wildcard/,
      ],
      [
        'a fragment in a redirect URI',
        { redirect_uris: ['https://a.example/#x'] },
        'invalid_redirect_uri',
        /must not have a fragment/,
      ],
      [
        'a redirect URI that is a script',
        { redirect_uris: ['javascript:alert(1)'] },
        'invalid_redirect_uri',
        /must be https/,
      ],
      ['a redirect URI that is data', { redirect_uris: ['data:text/html,x'] }, 'invalid_redirect_uri', /must be https/],
      [
        'a redirect URI with http',
        { redirect_uris: ['http://app.example/'] },
        'invalid_redirect_uri',
        /http is for loopback/,
      ],
      [
        'a user name in a redirect URI',
        { redirect_uris: ['https://u:p@a.example/'] },
        'invalid_redirect_uri',
        /user name or a password/,
      ],
      [
        'a line break in a redirect URI',
        { redirect_uris: ['https://a.example/\n'] },
        'invalid_redirect_uri',
        /absolute URI/,
      ],
      ['a string of redirect URIs', { redirect_uris: 'https://a.example/' }, 'invalid_redirect_uri', /must be a list/],
      ['a number as its redirect URI', { redirect_uris: [1] }, 'invalid_redirect_uri', /must be text/],
      [
        'an app’s scheme in a redirect URI of a server',
        { redirect_uris: ['com.example.app:/cb'] },
        'invalid_redirect_uri',
        /must be https for type web/,
      ],
      [
        'a script as its client_uri',
        { client_uri: 'javascript:alert(1)' },
        'invalid_client_metadata',
        /client_uri must be an http/,
      ],
      ['a script as its logo_uri', { logo_uri: 'JaVaScRiPt:alert(1)' }, 'invalid_client_metadata', /logo_uri must be/],
      ['data as its tos_uri', { tos_uri: 'data:text/html,x' }, 'invalid_client_metadata', /tos_uri must be/],
      ['a file as its jwks_uri', { jwks_uri: 'file:///etc/passwd' }, 'invalid_client_metadata', /jwks_uri must be/],
      [
        'an invalid backchannel_logout_uri',
        { backchannel_logout_uri: 'x' },
        'invalid_client_metadata',
        /backchannel_logout_uri must be/,
      ],
      [
        'a bidirectional override in its name',
        { client_name: 'evil\u202Egnp' },
        'invalid_client_metadata',
        /hidden characters/,
      ],
      ['an invisible name', { client_name: '\u3164' }, 'invalid_client_metadata', /hidden characters/],
      ['a line break in its name', { client_name: 'a\nb' }, 'invalid_client_metadata', /hidden characters/],
      ['a long name', { client_name: 'x'.repeat(101) }, 'invalid_client_metadata', /at most 100/],
      ['an object as its name', { client_name: { a: 1 } }, 'invalid_client_metadata', /client_name must be text/],
      [
        'the response type token',
        { response_types: ['token'] },
        'invalid_client_metadata',
        /response_types must be one of code/,
      ],
      [
        'only grant types that it may not have',
        { grant_types: ['password'] },
        'invalid_client_metadata',
        /grant_types must have one of/,
      ],
      [
        'client authentication by certificate',
        { token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_dns: 'a.example' },
        'invalid_client_metadata',
        /token_endpoint_auth_method must be one of none, /,
      ],
      [
        'private_key_jwt but no keys',
        { token_endpoint_auth_method: 'private_key_jwt' },
        'invalid_client_metadata',
        /jwks_uri or jwks/,
      ],
      [
        'a private key',
        { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [{ kty: 'RSA', n: 'x', e: 'AQAB', d: 'x' }] } },
        'invalid_client_metadata',
        /this one is private/,
      ],
      ...Object.entries(UNFIT_KEYS).map(([what, [key, reason]]): [string, object, string, RegExp] => [
        `a key that ${what}`,
        { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [key] } },
        'invalid_client_metadata',
        reason,
      ]),
      [
        'ID tokens signed with HS256',
        { id_token_signed_response_alg: 'HS256' },
        'invalid_client_metadata',
        /that uses a public key/,
      ],
      [
        'unsigned ID tokens',
        { id_token_signed_response_alg: 'none' },
        'invalid_client_metadata',
        /id_token_signed_response_alg must be/,
      ],
      [
        'an unsupported algorithm',
        { userinfo_signed_response_alg: 'PS256' },
        'invalid_client_metadata',
        /userinfo_signed/,
      ],
      ['a list instead of an object', [], 'invalid_client_metadata', /JSON object/],
      ['incomplete JSON', '{"redirect_uris": [', 'invalid_client_metadata', /JSON object/],
      ['null instead of an object', 'null', 'invalid_client_metadata', /JSON object/],
    ];
    for (const [what, metadata, error, reason] of refused) {
      it(`The server refuses a registration with ${what}, and says why`, async () => {
        const isWhole = typeof metadata === 'string' || Array.isArray(metadata);
        const { status, body } = isWhole
          ? await send(`${server.issuer}/register`, { body: metadata })
          : await register(server, metadata);
        assert.deepEqual([status, body['error']], [400, error], JSON.stringify(body));
        assert.match(String(body['error_description']), reason);
        assert.match(String(body['error_description']), /^[\x20\x21\x23-\x5B\x5D-\x7E]+$/);
      });
    }

    it('The server refuses a registration whose content type is not JSON', async () => {
      const { status, body } = await register(server, {}, { headers: { 'content-type': 'text/plain' } });
      assert.deepEqual([status, body['error']], [400, 'invalid_client_metadata']);
    });

    it('The server refuses huge metadata before it has read all of it', async () => {
      for (const length of [17_000, 60_000]) {
        const { status, body } = await register(server, { client_uri: `https://a.example/${'x'.repeat(length)}` });
        assert.deepEqual([status, body['error']], [413, 'invalid_request']);
      }
    });

    it('The server ignores __proto__ in a registration', async () => {
      const metadata = `{"redirect_uris":["${REDIRECT}"],"__proto__":{"first_party":true},"jwks":{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","__proto__":{"d":"x"}}]}}`;
      const { status, body } = await send(`${server.issuer}/register`, { body: metadata });
      assert.equal(status, 201, JSON.stringify(body));
      assert.deepEqual(Object.keys((body['jwks'] as { keys: object[] }).keys[0] ?? {}), ['kty', 'crv', 'x', 'y']);
      assert.equal(({} as Record<string, unknown>)['first_party'], undefined);
    });

    it('A registration never gets the id of another client', async () => {
      const { body: first } = await register(server, { client_id: 'demo-notes' });
      const { body: second } = await register(server, { client_id: first['client_id'] });
      assert.equal(new Set(['demo-notes', first['client_id'], second['client_id']]).size, 3);
    });
  });

  describe('Registration with invitations', () => {
    let server: TestServer;
    before(async () => {
      server = await startTestServer({ change: openToAll({ initial_access_token: 'required' }) });
    });
    after(() => server.close());
    afterEach(returnToPresent);

    const assertRefused = ({ status, body, headers }: Answer, challenge = 'Bearer error="invalid_token"'): void => {
      assert.deepEqual([status, body['error']], [401, 'invalid_token']);
      assert.equal(headers.get('www-authenticate'), challenge);
    };

    it('The server refuses a registration without a valid invitation', async () => {
      // RFC 6750 §3.1: no error is named to a request without a token.
      assertRefused(await register(server), 'Bearer');
      assertRefused(await register(server, {}, { token: 'x'.repeat(43) }));
      // Nor learns from the metadata what would be accepted.
      assertRefused(await register(server, { redirect_uris: [] }, { token: 'x'.repeat(43) }));
      assertRefused(await register(server, {}, { headers: { authorization: 'Basic eDp5' } }), 'Bearer');
    });

    it('An invitation works as often as it says, even with concurrent requests', async () => {
      for (const uses of [1, 3]) {
        const token = await invite(server, { uses });
        const answers = await Promise.all(Array.from({ length: uses + 3 }, () => register(server, {}, { token })));
        const [made, ...others] = [201, 401].map((status) => answers.filter((answer) => answer.status === status));
        assert.deepEqual([made?.length, others.flat().length], [uses, 3]);
      }
    });

    it('An invitation does not work after its lifetime', async () => {
      const token = await invite(server, { ttl: 60 });
      travel(61);
      assertRefused(await register(server, {}, { token }));
    });

    it('A registration that is refused for its metadata does not use up an invitation', async () => {
      const token = await invite(server);
      assert.equal((await register(server, { redirect_uris: [] }, { token })).status, 400);
      assert.equal((await register(server, {}, { token })).status, 201);
    });

    it('A registration access token is not accepted as an invitation', async () => {
      const { body } = await register(server, {}, { token: await invite(server) });
      assertRefused(await register(server, {}, { token: String(body['registration_access_token']) }));
    });
  });

  it('The server has no registration endpoint unless the operator enables it', async () => {
    await using server = await startTestServer();
    const response = await fetch(`${server.issuer}/register`, { method: 'POST' });
    assert.equal(response.status, 404);
    const metadata = await fetch(`${server.issuer}/.well-known/oauth-authorization-server`);
    assert.doesNotMatch(await metadata.text(), /registration_endpoint/);
  });
});
