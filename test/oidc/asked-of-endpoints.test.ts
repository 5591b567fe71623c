import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, refresh, signIn, tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const SERVICE = 'demo-service:demo-service-secret';
const MACHINE = { grant_type: 'client_credentials' };
/** RFC 6749 §5.2. */
const DESCRIPTION = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

describe('Specification requirements on the endpoints for programs', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  type Parameters = Record<string, string> | [string, string][];

  async function ask(path: string, parameters: Parameters, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(server.issuer + path, {
      method: 'POST',
      headers,
      body: new URLSearchParams(parameters),
    });
    return {
      status: response.status,
      body: (await response.json()) as Record<string, unknown>,
      headers: response.headers,
    };
  }

  const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` });

  /** A code of somebody's, and the verifier that goes with the challenge. */
  async function codeFor(challenge: Record<string, string> = {}) {
    const request = authorizationRequest(server.issuer, 'demo-notes', challenge);
    const callback = await signIn(new Browser(), request);
    return { request, callback };
  }

  describe('/token', () => {
    it('The token endpoint ignores empty and unknown parameters (RFC 6749 §3.2)', async () => {
      const answer = await ask('/token', { ...MACHINE, scope: '', resource: '', unheard_of: 'x' }, basic(SERVICE));
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      const missing = await ask('/token', { grant_type: '' }, basic(SERVICE));
      assert.deepEqual([missing.status, missing.body['error']], [400, 'invalid_request']);
    });

    it('The token endpoint refuses a repeated parameter (RFC 6749 §3.2)', async () => {
      for (const name of ['grant_type', 'scope', 'client_id']) {
        const twice: [string, string][] = [
          ...Object.entries({ ...MACHINE, scope: 'notes:read', client_id: 'demo-service' }),
          [name, { grant_type: 'client_credentials', scope: 'notes:read', client_id: 'demo-service' }[name] ?? ''],
        ];
        const { status, body } = await ask('/token', twice, basic(SERVICE));
        assert.deepEqual([status, body['error']], [400, 'invalid_request'], name);
      }
    });

    it('The token endpoint uses the error codes and characters of RFC 6749 §5.2', async () => {
      const { body: first } = await tokenRequest(server.issuer, MACHINE, SERVICE);
      assert.ok(first['access_token'] !== undefined);
      const odd = 'é"\\\u0007💥';
      const rows: [Parameters, string | undefined, string][] = [
        [{ grant_type: 'dance' }, SERVICE, 'unsupported_grant_type'],
        [{ grant_type: odd }, SERVICE, 'unsupported_grant_type'],
        [{ ...MACHINE, scope: odd }, SERVICE, 'invalid_scope'],
        [{ ...MACHINE, scope: 'notes:write-everything' }, SERVICE, 'invalid_scope'],
        [{ ...MACHINE, resource: odd }, SERVICE, 'invalid_target'],
        [{ ...MACHINE, resource: 'https://api.example/#fragment' }, SERVICE, 'invalid_target'],
        [{ ...MACHINE, resource: '/notes' }, SERVICE, 'invalid_target'],
        [{ grant_type: 'authorization_code', code: 'x', redirect_uri: 'x' }, SERVICE, 'unauthorized_client'],
        [MACHINE, 'demo-service:wrong', 'invalid_client'],
        [MACHINE, 'nobody:wrong', 'invalid_client'],
        [{ grant_type: 'refresh_token', client_id: 'demo-notes', refresh_token: odd }, undefined, 'invalid_grant'],
        [{ grant_type: 'refresh_token', client_id: 'demo-notes' }, undefined, 'invalid_request'],
      ];
      for (const [parameters, client, error] of rows) {
        const answer = await ask('/token', parameters, client === undefined ? {} : basic(client));
        const what = JSON.stringify([parameters, answer.body]);
        assert.deepEqual([answer.status, answer.body['error']], [error === 'invalid_client' ? 401 : 400, error], what);
        const { error_description: description = '' } = answer.body as Record<string, string>;
        assert.match(description, DESCRIPTION, what);
        assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
        assert.equal(answer.headers.get('cache-control'), 'no-store');
      }
    });

    it('All endpoints answer invalid_client to missing or unknown authentication (RFC 6749 §5.2, RFC 7521 §4.2.1)', async () => {
      const jwt = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
      const saml = 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer';
      const unsigned = `${btoa('{"alg":"none"}')}.${btoa('{"sub":"demo-service"}')}.`;
      const rows: [Record<string, string>, Record<string, string>, number][] = [
        [{}, {}, 400],
        [{}, { authorization: 'Bearer x' }, 401],
        [{}, { authorization: 'Basic %%%' }, 401],
        [{}, basic('no-colon'), 401],
        [{ client_assertion: 'x', client_assertion_type: jwt }, {}, 401],
        [{ client_assertion: unsigned, client_assertion_type: saml }, {}, 401],
        [{ client_assertion: unsigned }, {}, 401],
      ];
      for (const path of ['/token', '/introspect', '/revoke', '/par', '/device_authorization'])
        for (const [parameters, headers, status] of rows) {
          const answer = await ask(path, { ...MACHINE, token: 'x', ...parameters }, headers);
          const what = `${path} ${JSON.stringify([parameters, headers, answer.body])}`;
          assert.deepEqual([answer.status, answer.body['error']], [status, 'invalid_client'], what);
          const challenge = answer.headers.get('www-authenticate') ?? '';
          assert.match(challenge, headers['authorization'] === undefined ? /^$/ : /^Basic /, what);
        }
    });

    it('The token endpoint answers invalid_request to two authentication methods or two clients (RFC 6749 §5.2)', async () => {
      const twice = await ask('/token', { ...MACHINE, client_secret: 'x' }, basic(SERVICE));
      const two = await ask('/token', { ...MACHINE, client_id: 'demo-web' }, basic(SERVICE));
      for (const { status, body } of [twice, two]) assert.deepEqual([status, body['error']], [400, 'invalid_request']);
    });

    it('The token response gives the lifetime, type and scope of the token (RFC 6749 §5.1)', async () => {
      const { body } = await tokenRequest(server.issuer, { ...MACHINE, scope: 'notes:read' }, SERVICE);
      const { access_token: token, ...said } = body;
      assert.equal(typeof token, 'string');
      assert.deepEqual(said, { expires_in: 900, scope: 'notes:read', token_type: 'Bearer' });
    });

    it('A refresh without a scope receives all granted scopes (RFC 6749 §6)', async () => {
      const tokens = await tokensFor(server.issuer);
      const { body } = await refresh(server.issuer, tokens['refresh_token'], { scope: '' });
      assert.deepEqual(new Set(String(body['scope']).split(' ')), new Set(String(tokens['scope']).split(' ')));
    });

    it('The token endpoint accepts only code verifiers of 43 to 128 allowed characters (RFC 7636 §4.1, §4.6)', async () => {
      const allowed = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~';
      const hash = (verifier: string) => createHash('sha256').update(verifier).digest('base64url');
      const rows: [string, boolean][] = [
        [randomBytes(32).toString('base64url'), true],
        [allowed.repeat(2).slice(0, 128), true],
        [randomBytes(31).toString('base64url').slice(0, 42), false],
        [allowed.repeat(2).slice(0, 129), false],
        [`${randomBytes(32).toString('base64url')}+`, false],
      ];
      for (const [verifier, isTaken] of rows) {
        const { request, callback } = await codeFor({ code_challenge: hash(verifier) });
        const { status, body } = await exchangeCode(server.issuer, { ...request, verifier }, callback);
        assert.deepEqual([status, body['error']], isTaken ? [200, undefined] : [400, 'invalid_request'], verifier);
      }
    });
  });

  describe('/introspect and /revoke', () => {
    it('/introspect and /revoke require one token by POST and refuse repeated ones (RFC 7662 §2.1, RFC 7009 §2.1)', async () => {
      for (const path of ['/introspect', '/revoke']) {
        const wrong: Parameters[] = [
          {},
          { token: '' },
          [
            ['token', 'a'],
            ['token', 'b'],
          ],
        ];
        for (const parameters of wrong) {
          const { status, body } = await ask(path, parameters, basic('demo-web:demo-web-secret'));
          assert.deepEqual([status, body['error']], [400, 'invalid_request'], `${path} ${JSON.stringify(parameters)}`);
        }
        const response = await fetch(`${server.issuer}${path}?token=x`, { headers: basic('demo-web:demo-web-secret') });
        assert.deepEqual([response.status, response.headers.get('allow')?.includes('POST')], [405, true]);
      }
    });

    it('/introspect and /revoke ignore an unknown token_type_hint (RFC 7662 §2.1, RFC 7009 §2.1)', async () => {
      const { access_token = '' } = await tokensFor(server.issuer, { clientId: 'demo-web' });
      const parameters = { token: access_token, token_type_hint: 'dance' };
      const seen = await ask('/introspect', parameters, basic('demo-web:demo-web-secret'));
      assert.deepEqual([seen.status, seen.body['active']], [200, true]);
      assert.match(seen.headers.get('content-type') ?? '', /^application\/json/);
      assert.equal((await ask('/revoke', parameters, basic('demo-web:demo-web-secret'))).status, 200);
      const gone = await ask('/introspect', parameters, basic('demo-web:demo-web-secret'));
      assert.deepEqual([gone.status, gone.body], [200, { active: false }]);
    });
  });

  describe('/par', () => {
    const pushed = (more: Record<string, string> = {}) =>
      ask('/par', {
        ...Object.fromEntries(new URL(authorizationRequest(server.issuer).url).searchParams),
        ...more,
      });

    it('The /par endpoint answers 201 with an unguessable request_uri and forbids caching (RFC 9126 §2.2)', async () => {
      const { status, body, headers } = await pushed();
      assert.deepEqual([status, body['expires_in'], headers.get('cache-control')], [201, 60, 'no-store']);
      assert.match(String(body['request_uri']), /^urn:ietf:params:oauth:request_uri:[\w-]{43,}$/);
      assert.match(headers.get('content-type') ?? '', /^application\/json/);
    });

    it('The /par endpoint refuses a request that contains a request_uri (RFC 9126 §2.1)', async () => {
      const { body } = await pushed();
      for (const request_uri of [String(body['request_uri']), 'https://app.example/request']) {
        const answer = await pushed({ request_uri });
        assert.deepEqual([answer.status, answer.body['request_uri']], [400, undefined], JSON.stringify(answer.body));
      }
    });

    it('The /par endpoint answers 405 to other methods and 413 to large requests (RFC 9126 §2.3)', async () => {
      const read = await fetch(`${server.issuer}/par`);
      assert.deepEqual([read.status, read.headers.get('allow')?.includes('POST')], [405, true]);
      assert.equal((await pushed({ state: 'x'.repeat(60_000) })).status, 413);
    });

    it('The /par endpoint reports errors in JSON, and an unknown client with status 401 (RFC 9126 §2.3)', async () => {
      const wrong = await pushed({ scope: 'notes:write-everything', nonce: '' });
      assert.deepEqual([wrong.status, wrong.body['error']], [400, 'invalid_scope']);
      const unknown = await pushed({ client_id: 'nobody' });
      assert.deepEqual([unknown.status, unknown.body['error']], [401, 'invalid_client']);
    });
  });
});
