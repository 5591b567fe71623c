import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { answerAtOnce, authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { clientKey } from '../support/signed-request.ts';
import { openToAll, REDIRECT, register, send } from './registering.ts';

const SPA = { token_endpoint_auth_method: 'none' };

/** What a client may ask for, and what the server does not do for one that registers itself. */
const NOT_DONE: Record<string, unknown> = {
  request_uris: ['https://app.example/request'],
  request_object_encryption_alg: 'RSA-OAEP-256',
  introspection_encrypted_response_alg: 'RSA-OAEP-256',
  tls_client_auth_san_dns: 'app.example',
  authorization_details_types: ['payment'],
  backchannel_token_delivery_mode: 'poll',
  backchannel_client_notification_endpoint: 'https://app.example/ping',
  backchannel_authentication_request_signing_alg: 'ES256',
  backchannel_user_code_parameter: true,
  frontchannel_logout_uri: 'https://app.example/logout',
  default_acr_values: ['aal3'],
  application_type: 'desktop',
  require_auth_time: 'yes',
  initiate_login_uri: 'http://app.example/login',
  default_max_age: -1,
  token_endpoint_auth_signing_alg: 'RS256',
  require_signed_request_object: true,
  tls_client_certificate_bound_access_tokens: true,
};

/** The same as nothing: libraries send what they do not use so. */
const NOTHING = {
  request_uris: [],
  authorization_details_types: [],
  backchannel_user_code_parameter: false,
  tls_client_auth_san_dns: '',
  introspection_encrypted_response_alg: null,
};

describe('The metadata of a client that registers itself', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: openToAll({ max_per_hour: 10_000, resources: [] }) });
  });
  after(() => server.close());
  afterEach(returnToPresent);

  for (const [name, value] of Object.entries(NOT_DONE)) {
    it(`The server refuses a registration with ${name}: ${JSON.stringify(value)}`, async () => {
      const { status, body } = await register(server, { [name]: value });
      assert.deepEqual([status, body['error']], [400, 'invalid_client_metadata'], JSON.stringify(body));
      assert.match(String(body['error_description']), /must|is required|is only for|needs/);
    });
  }

  it('The server accepts a registration that explicitly turns off what it does not support', async () => {
    const { status, body } = await register(server, NOTHING);
    assert.equal(status, 201, JSON.stringify(body));
    for (const name of Object.keys(NOTHING)) assert.equal(body[name], undefined, name);
  });

  it('A registration keeps the client’s login URI, algorithms and type, and its response adds the fixed values', async () => {
    const { jwks } = await clientKey();
    const asked = {
      initiate_login_uri: 'https://app.example/login',
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      request_object_signing_alg: 'ES256',
      require_signed_request_object: true,
      authorization_signed_response_alg: 'ES256',
      introspection_signed_response_alg: 'ES256',
      default_max_age: 600,
      subject_type: 'public',
      jwks,
    };
    const more = { require_auth_time: true, application_type: 'web', backchannel_logout_session_required: true };
    const { status, body } = await register(server, { ...asked, backchannel_logout_uri: 'https://app.example/out' });
    assert.equal(status, 201, JSON.stringify(body));
    const { body: read } = await send(String(body['registration_client_uri']), {
      method: 'GET',
      token: body['registration_access_token'],
    });
    for (const shown of [body, read])
      for (const [name, value] of Object.entries({ ...asked, ...more })) assert.deepEqual(shown[name], value, name);
  });

  it('The server drops a redirect URI with a scheme that any app can claim, if another one remains', async () => {
    const uris = ['cursor://anysphere.cursor-mcp/oauth/callback', 'http://127.0.0.1/callback', REDIRECT];
    const { status, body } = await register(server, { ...SPA, redirect_uris: uris });
    assert.equal(status, 201, JSON.stringify(body));
    assert.deepEqual(body['redirect_uris'], uris.slice(1));
    const { body: alone } = await register(server, { ...SPA, redirect_uris: uris.slice(0, 1) });
    assert.equal(alone['error'], 'invalid_redirect_uri');
    assert.match(String(alone['error_description']), /redirect_schemes lists others/);
    for (const scheme of [
      'javascript:',
      'data:text/html,',
      'file:///',
      'vbscript:',
      'intent://',
      'blob:https://a.example/',
    ]) {
      const { body: script } = await register(server, { ...SPA, redirect_uris: [`${scheme}x`, REDIRECT] });
      assert.equal(script['error'], 'invalid_redirect_uri', scheme);
    }
  });

  it('The server accepts a scheme that the operator lists, and asks the person for consent each time', async () => {
    const cursor = 'cursor://anysphere.cursor-mcp/oauth/callback';
    await using listing = await startTestServer({
      change: (config) => ({ ...openToAll({ resources: [] })(config), redirect_schemes: ['cursor'] }),
    });
    const { body } = await register(listing, { ...SPA, redirect_uris: [cursor, 'vscode://x/callback', REDIRECT] });
    assert.deepEqual(body['redirect_uris'], [cursor, REDIRECT]);
    assert.equal(body['application_type'], 'native');
    const browser = new Browser();
    const request = authorizationRequest(listing.issuer, String(body['client_id']), { redirect_uri: cursor });
    for (let count = 0; count < 2; count += 1) {
      const callback = await signIn(browser, request);
      assert.equal(callback.protocol, 'cursor:');
      assert.ok(callback.searchParams.has('code'));
    }
    const page = await browser.visit(request.url);
    assert.match(page.html, /value="allow"/);
  });

  it('A client can register only the response types that the operator allows', async () => {
    const implicit = { ...SPA, response_types: ['id_token'], grant_types: ['implicit'] };
    assert.equal((await register(server, implicit)).body['error'], 'invalid_client_metadata');
    await using allowing = await startTestServer({
      change: openToAll({ resources: [], response_types: ['code', 'id_token', 'code id_token'] }),
    });
    const { status, body } = await register(allowing, { ...implicit, response_types: ['id_token', 'id_token code'] });
    assert.equal(status, 201, JSON.stringify(body));
    assert.deepEqual(body['response_types'], ['id_token', 'code id_token']);
    assert.deepEqual(body['grant_types'], ['authorization_code', 'implicit']);
    const parameters = { redirect_uri: REDIRECT, response_type: 'id_token', scope: 'openid' };
    const request = authorizationRequest(allowing.issuer, String(body['client_id']), parameters);
    const callback = await signIn(new Browser(), request);
    assert.match(callback.hash, /id_token=ey/);
    const refused = await register(allowing, { ...SPA, response_types: ['code', 'code token'] });
    assert.match(
      String(refused.body['error_description']),
      /response_types must be one of code, id_token, code id_token/,
    );
  });

  it('The client’s default_max_age makes people sign in again unless the request has another max_age', async () => {
    const [limited, free] = [await register(server, { ...SPA, default_max_age: 60 }), await register(server, SPA)];
    const browser = new Browser();
    const ask = (client: typeof free, parameters: Record<string, string> = {}) =>
      authorizationRequest(server.issuer, String(client.body['client_id']), { redirect_uri: REDIRECT, ...parameters });
    for (const client of [limited, free]) {
      const request = ask(client);
      const { body } = await exchangeCode(server.issuer, request, await signIn(browser, request));
      assert.ok(typeof decodeJwt(String(body['id_token']))['auth_time'] === 'number');
    }
    travel(120);
    const silent = (client: typeof free, more = {}) => answerAtOnce(browser, ask(client, { prompt: 'none', ...more }));
    assert.equal((await silent(limited))['error'], 'login_required');
    assert.ok('code' in (await silent(limited, { max_age: '600' })));
    assert.ok('code' in (await silent(free)));
  });
});
