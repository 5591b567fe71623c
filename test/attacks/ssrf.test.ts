import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT } from 'jose';
import { CIBA_GRANT, clientSchema } from '../../src/config/sections/client-schema.ts';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { openToAll, REDIRECT, register } from '../registration/registering.ts';
import { Browser } from '../support/browser.ts';
import { ALICE, authorizationRequest, exchangeCode, signIn, tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { clientKey, requestObject, withRequestObject, type ClientKey } from '../support/signed-request.ts';

/** What an attacker would have the server call: something on its own machine, behind its firewall. */
interface Inside {
  readonly host: string;
  /** How many connections came, whatever was said on them. */
  calls: number;
  close(): void;
}

async function startInside(): Promise<Inside> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end('{"keys":[]}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const inside = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls: 0,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  server.on('connection', () => (inside.calls += 1));
  return inside;
}

/**
 * Which addresses are refused, however they are written, is shown with the guard (test/outgoing). Here: that every URL
 * that somebody else chose goes through it.
 */
describe('URLs that a client registers (RFC 7591 §5)', () => {
  let inside: Inside;
  let key: ClientKey;
  before(async () => {
    [inside, key] = [await startInside(), await clientKey()];
  });
  after(() => {
    inside.close();
  });

  /** Each URL, at `/NAME` inside; who is registered with it; and what makes the server call it. */
  const URLS: Record<
    string,
    { client: (url: string) => Partial<ClientConfig>; call: (server: TestServer) => Promise<void> }
  > = {
    'jwks_uri for assertions': {
      client: (jwks_uri) => ({ jwks_uri, token_endpoint_auth_method: 'private_key_jwt', secret: undefined }),
      async call({ issuer }) {
        const now = Math.floor(Date.now() / 1000);
        const named = { iss: 'demo-web', sub: 'demo-web', aud: issuer, jti: crypto.randomUUID() };
        const client_assertion = await new SignJWT({ ...named, iat: now, exp: now + 60 })
          .setProtectedHeader({ alg: 'ES256' })
          .sign(key.privateKey);
        const { status, body } = await tokenRequest(issuer, {
          grant_type: 'refresh_token',
          refresh_token: 'x',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion,
        });
        assert.deepEqual([status, body['error']], [401, 'invalid_client']);
      },
    },
    'jwks_uri for signed requests': {
      client: (jwks_uri) => ({ jwks_uri }),
      async call({ issuer }) {
        const request = authorizationRequest(issuer, 'demo-web');
        const object = await requestObject(request, { key: key.privateKey, issuer });
        const page = await new Browser().visit(withRequestObject(request, object).url, {}, request.redirectUri);
        assert.match(`${page.url} ${page.html}`, /invalid_(request_object|client_metadata)/);
      },
    },
    'jwks_uri for encryption': {
      client: (jwks_uri) => ({ jwks_uri, id_token_encrypted_response_alg: 'ECDH-ES' }),
      async call({ issuer }) {
        const request = authorizationRequest(issuer, 'demo-web');
        const { status, body } = await exchangeCode(issuer, request, await signIn(new Browser(), request));
        assert.deepEqual([status, body['id_token']], [400, undefined]);
      },
    },
    backchannel_client_notification_endpoint: {
      client: (url) => ({
        grant_types: [CIBA_GRANT],
        backchannel_token_delivery_mode: 'ping',
        backchannel_client_notification_endpoint: url.replace('http:', 'https:'),
      }),
      async call({ issuer }) {
        const asked = await fetch(`${issuer}/backchannel_authentication`, {
          method: 'POST',
          headers: { authorization: `Basic ${btoa('demo-web:demo-web-secret')}` },
          body: new URLSearchParams({
            ...{ scope: 'openid', login_hint: ALICE.email, client_notification_token: 'x'.repeat(32) },
          }),
        });
        assert.equal(asked.status, 200);
        const browser = new Browser();
        await signIn(browser, authorizationRequest(issuer));
        const answered = await browser.submit(await browser.visit(`${issuer}/`), { decision: 'allow' });
        assert.match(answered.html, /Access allowed/);
      },
    },
    backchannel_logout_uri: {
      client: (backchannel_logout_uri) => ({ backchannel_logout_uri }),
      async call({ issuer }) {
        const browser = new Browser();
        const { id_token = '' } = await tokensFor(issuer, { clientId: 'demo-web', browser });
        assert.match((await browser.visit(`${issuer}/logout?id_token_hint=${id_token}`)).html, /signed out/);
      },
    },
  };

  const serverWith = (client: Partial<ClientConfig>, allow: string[] = []): Promise<TestServer> =>
    startTestServer({
      change: (config: Config) => ({
        ...config,
        outgoing: { allow },
        clients: config.clients.map((one) => (one.client_id === 'demo-web' ? { ...one, ...client } : one)),
      }),
    });

  for (const [name, { client, call }] of Object.entries(URLS)) {
    it(`The server refuses to call an internal ${name} unless the operator allows its host`, async () => {
      const reached = async (url: string, allow: string[] = []): Promise<boolean> => {
        const server = await serverWith(client(url), allow);
        inside.calls = 0;
        try {
          await call(server);
        } finally {
          await server.close();
        }
        return inside.calls > 0;
      };
      const url = `http://${inside.host}/${encodeURIComponent(name)}`;
      assert.equal(await reached(url.replace('http:', 'https:')), false);
      // What proves that it would have been called.
      assert.equal(await reached(url, [inside.host]), true);
    });
  }

  it('The server calls no internal host for a client that registered itself, even if the operator allows that host', async () => {
    await using server = await startTestServer({
      change: (config) => ({ ...openToAll()(config), outgoing: { allow: [inside.host] } }),
    });
    inside.calls = 0;
    const { issuer } = server;
    const places = Object.fromEntries(
      ['jwks_uri', 'backchannel_logout_uri', 'logo_uri'].map((name) => [name, `http://${inside.host}/${name}`]),
    );
    const { body } = await register(server, { ...places, token_endpoint_auth_method: 'client_secret_post' });
    const [clientId, clientSecret] = [String(body['client_id']), String(body['client_secret'])];
    const browser = new Browser();
    const signed = authorizationRequest(issuer, clientId, { redirect_uri: REDIRECT });
    const object = await requestObject(signed, { key: key.privateKey, issuer });
    const refused = await browser.visit(withRequestObject(signed, object).url, {}, REDIRECT);
    assert.match(`${refused.url} ${refused.html}`, /invalid_(request_object|client_metadata)/);
    const request = authorizationRequest(issuer, clientId, { redirect_uri: REDIRECT });
    const code = (await signIn(browser, request)).searchParams.get('code') ?? '';
    const { status, body: tokens } = await tokenRequest(issuer, {
      ...{ grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: request.verifier },
      ...{ client_id: clientId, client_secret: clientSecret },
    });
    assert.equal(status, 200, JSON.stringify(tokens));
    await browser.visit(`${issuer}/logout?id_token_hint=${String(tokens['id_token'])}`);
    assert.equal(inside.calls, 0);
  });

  it('The server fetches no key that a JWT header points to (RFC 8725 §3.10)', async () => {
    const server = await serverWith({ jwks: key.jwks }, [inside.host]);
    inside.calls = 0;
    const { issuer } = server;
    const url = `http://${inside.host}/keys`;
    const stranger = await clientKey();
    const named = { iss: 'demo-web', sub: 'demo-web', aud: issuer, jti: crypto.randomUUID() };
    for (const header of [{ jku: url }, { x5u: url }, { jku: url, kid: url }]) {
      const forged = (claims: object, typ?: string): Promise<string> =>
        new SignJWT({ ...named, ...claims })
          .setProtectedHeader({ alg: 'ES256', ...header, ...(typ && { typ }) })
          .setExpirationTime('1 min')
          .sign(stranger.privateKey);
      const request = authorizationRequest(issuer, 'demo-web');
      const search = Object.fromEntries(new URL(request.url).searchParams);
      const [hint, object, dpop] = [await forged({}), await forged(search), await forged({ htm: 'POST' }, 'dpop+jwt')];
      const browser = new Browser();
      await browser.visit(withRequestObject(request, object).url, {}, request.redirectUri);
      await browser.visit(`${request.url}&id_token_hint=${hint}`, {}, request.redirectUri);
      await browser.visit(`${issuer}/logout?id_token_hint=${hint}`);
      for (const more of [{ headers: { dpop } }, { headers: { authorization: `Bearer ${hint}` } }])
        await fetch(`${issuer}/userinfo`, more);
    }
    assert.equal(inside.calls, 0);
    await server.close();
  });

  it('Registration fetches none of the registered URLs', async () => {
    await using server = await startTestServer({
      change: (config) => ({ ...openToAll()(config), outgoing: { allow: [inside.host] } }),
    });
    inside.calls = 0;
    const url = `http://${inside.host}/`;
    const names = ['jwks_uri', 'backchannel_logout_uri', 'client_uri', 'logo_uri', 'policy_uri', 'tos_uri'];
    const ignored = ['software_statement_uri', 'registration_client_uri'];
    const uris = Object.fromEntries([...names, ...ignored].map((name) => [name, `${url}${name}`]));
    const { status, body } = await register(server, uris);
    assert.equal(status, 201, JSON.stringify(body));
    const request = authorizationRequest(server.issuer, String(body['client_id']), { redirect_uri: REDIRECT });
    await signIn(new Browser(), request);
    const refused = [
      { sector_identifier_uri: `${url}sector`, subject_type: 'pairwise' },
      { initiate_login_uri: `${url}login` },
      { request_uris: [`${url}request`] },
    ];
    for (const metadata of refused) {
      const answer = await register(server, metadata);
      assert.deepEqual([answer.status, answer.body['error']], [400, 'invalid_client_metadata']);
    }
    assert.equal(inside.calls, 0);
  });

  it('The server never fetches a request_uri, even from an allowed host', async () => {
    const server = await serverWith({}, [inside.host]);
    inside.calls = 0;
    const { url } = authorizationRequest(server.issuer, 'demo-web');
    const answer = await new Browser().request(`${url}&request_uri=http://${inside.host}/request`);
    assert.match(
      answer.headers.get('location') ?? '',
      /error=(invalid_request|request_uri_not_supported|invalid_request_uri)/,
    );
    assert.equal(inside.calls, 0);
    await server.close();
  });

  it('The configuration accepts only web addresses as client URIs', () => {
    for (const name of ['client_uri', 'logo_uri', 'policy_uri', 'tos_uri', 'jwks_uri', 'backchannel_logout_uri']) {
      for (const url of ['javascript:alert(1)', 'file:///etc/passwd', 'gopher://x/', 'data:text/html,x', '//x/', 'x']) {
        const client = { client_id: 'x', client_name: 'X', type: 'web', redirect_uris: ['https://x.example/'] };
        const { success, error } = clientSchema.safeParse({ ...client, [name]: url });
        assert.equal(success, false, `${name}: ${url}`);
        assert.deepEqual(
          error.issues.map(({ path }) => path[0]),
          [name],
        );
      }
    }
  });
});
