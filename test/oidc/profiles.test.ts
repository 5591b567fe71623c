import assert from 'node:assert/strict';
import * as client from 'openid-client';
import type { Client } from '../../src/clients/clients.ts';
import type { Profile } from '../../src/config/sections/profiles.ts';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { keyspace } from '../../src/storage/store.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import {
  authorizationRequest,
  exchangeCode,
  signIn,
  tokenRequest,
  type AuthorizationRequest,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { clientKey, type ClientKey } from '../support/signed-request.ts';
import { apiOf } from '../support/tokens.ts';

const NO_CHALLENGE = { code_challenge: '', code_challenge_method: '' };
const BASIC = 'demo-web:demo-web-secret';

/** Some clients of the demo's configuration, changed. */
function changing(changes: Record<string, Partial<ClientConfig>>) {
  return (config: Config): Config => ({
    ...config,
    clients: config.clients.map((one) => ({ ...one, ...changes[one.client_id] })),
  });
}

/** What the app or, where it must not be told, the person hears; never a code. */
async function refusal(browser: Browser, request: AuthorizationRequest): Promise<string> {
  const page = await browser.visit(request.url, {}, request.redirectUri);
  const answer = new URL(page.url).searchParams;
  assert.equal(answer.get('code'), null, page.url);
  return answer.get('error') ?? /Error code<\/dt><dd>([a-z_]+)/.exec(page.html)?.[1] ?? `a page: ${page.html}`;
}

async function metadataOf({ issuer }: TestServer): Promise<Record<string, unknown>> {
  const response = await fetch(`${issuer}/.well-known/oauth-authorization-server`);
  return (await response.json()) as Record<string, unknown>;
}

describe('Profiles of a client or of the server', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer({ change: changing({ 'demo-photos': { profile: 'legacy' } }) });
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());

  const ask = (clientId: string, parameters: Record<string, string> = {}) =>
    authorizationRequest(server.issuer, clientId, parameters);

  it('The profile oauth2.1 lets a confidential client rely on OpenID Connect instead of PKCE', async () => {
    const request = ask('demo-web', { ...NO_CHALLENGE, nonce: '' });
    const callback = await signIn(alice, request);
    const { status } = await tokenRequest(
      server.issuer,
      {
        grant_type: 'authorization_code',
        code: callback.searchParams.get('code') ?? '',
        redirect_uri: request.redirectUri,
      },
      BASIC,
    );
    assert.equal(status, 200);
  });

  it('The profile oauth2.1 refuses a confidential client that uses neither PKCE nor OpenID Connect', async () => {
    const withoutOpenid = { ...NO_CHALLENGE, nonce: '', scope: 'notes:read', resource: apiOf(server.issuer) };
    assert.equal(await refusal(alice, ask('demo-web', withoutOpenid)), 'invalid_request');
  });

  it('The profile oauth2.1 refuses the code if an attacker removed the challenge from the request', async () => {
    const request = ask('demo-web');
    const stripped = new URL(request.url);
    stripped.searchParams.delete('code_challenge');
    stripped.searchParams.delete('code_challenge_method');
    const callback = await signIn(alice, { ...request, url: stripped.href });
    const { status, body } = await exchangeCode(server.issuer, request, callback);
    assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
  });

  it('No profile lets a public client omit PKCE', async () => {
    assert.equal(await refusal(alice, ask('demo-notes', NO_CHALLENGE)), 'invalid_request');
    assert.equal(await refusal(alice, ask('demo-photos', NO_CHALLENGE)), 'invalid_request');
  });

  it('The profile legacy lets a confidential client omit PKCE and OpenID Connect', async () => {
    await using legacy = await startTestServer({ change: (config) => ({ ...config, profile: 'legacy' }) });
    const parameters = { ...NO_CHALLENGE, nonce: '', scope: 'notes:read', resource: apiOf(legacy.issuer) };
    const request = authorizationRequest(legacy.issuer, 'demo-web', parameters);
    const callback = await signIn(new Browser(), request);
    assert.ok(callback.searchParams.has('code'), callback.href);
  });
});

describe('The profile mcp', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer({
      change: (config) => ({
        ...config,
        profile: 'mcp',
        clients: config.clients.map(({ default_resource: _, ...one }) => one),
      }),
    });
    alice = new Browser();
  });
  after(() => server.close());

  const ask = (clientId: string, parameters: Record<string, string> = {}) =>
    authorizationRequest(server.issuer, clientId, { scope: 'openid notes:read', ...parameters });

  it('The profile mcp issues tokens for the named resource, and its responses contain iss', async () => {
    const request = ask('demo-notes', { resource: apiOf(server.issuer) });
    const callback = await signIn(alice, request);
    assert.equal(callback.searchParams.get('iss'), server.issuer);
    const { status, body } = await exchangeCode(server.issuer, request, callback);
    assert.deepEqual([status, body['scope']], [200, 'notes:read']);
  });

  it('The profile mcp refuses requests without a resource, from every client', async () => {
    assert.equal(await refusal(alice, ask('demo-notes')), 'invalid_target');
    const empty = new URL(ask('demo-notes').url);
    empty.searchParams.set('resource', '');
    assert.equal(await refusal(alice, { ...ask('demo-notes'), url: empty.href }), 'invalid_target');
    const own = { grant_type: 'client_credentials', scope: 'notes:read' };
    const { body } = await tokenRequest(server.issuer, own, 'demo-service:demo-service-secret');
    assert.equal(body['error'], 'invalid_target');
  });

  it('The profile mcp requires PKCE even with a nonce', async () => {
    const request = ask('demo-web', { ...NO_CHALLENGE, resource: apiOf(server.issuer) });
    assert.equal(await refusal(alice, request), 'invalid_request');
  });
});

for (const profile of ['fapi2-security', 'fapi2-message-signing'] as const) {
  describe(`The profile ${profile}`, () => {
    let server: TestServer;
    let alice: Browser;
    let key: ClientKey;
    let rsa: ClientKey;
    const signs = profile === 'fapi2-message-signing';
    before(async () => {
      [key, rsa] = await Promise.all([clientKey('ES256'), clientKey('RS256')]);
      const jwks = { keys: [...key.jwks.keys, ...rsa.jwks.keys] };
      server = await startTestServer({ change: (config) => underFapi(config, profile, jwks) });
      alice = new Browser();
    });
    after(() => server.close());
    afterEach(returnToPresent);

    // eslint-disable-next-line @typescript-eslint/no-deprecated -- so marked to stand out; this server is on loopback without TLS
    const insecure = client.allowInsecureRequests;

    async function app(signedBy = key, answersBySignedJwt = signs): Promise<client.Configuration> {
      const privateKey = { key: signedBy.privateKey, kid: signedBy.jwks.keys[0]?.['kid'] as string };
      const config = await client.discovery(new URL(server.issuer), 'demo-web', {}, client.PrivateKeyJwt(privateKey), {
        execute: [insecure],
      });
      if (answersBySignedJwt) client.useJwtResponseMode(config);
      return config;
    }

    interface Begun {
      readonly config: client.Configuration;
      readonly parameters: Record<string, string>;
      readonly request: AuthorizationRequest;
      readonly dpop: client.DPoPHandle;
    }

    /** A request as the profile asks for it, except for what is changed; `''` leaves a parameter out. */
    async function begin(changes: Record<string, string> = {}): Promise<Begun> {
      const config = await app();
      const verifier = client.randomPKCECodeVerifier();
      const all: Record<string, string> = {
        redirect_uri: `http://localhost:${Number(new URL(server.issuer).port) + 4}/callback`,
        scope: 'openid profile offline_access',
        prompt: 'consent',
        state: client.randomState(),
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        ...changes,
      };
      const parameters = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
      const request = { url: '', redirectUri: all['redirect_uri'] ?? '', verifier, clientId: 'demo-web' };
      const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
      return { config, parameters, request, dpop };
    }

    async function push({ config, parameters, dpop }: Begun): Promise<URL> {
      const carried = signs
        ? (await client.buildAuthorizationUrlWithJAR(config, parameters, key.privateKey)).searchParams
        : parameters;
      return client.buildAuthorizationUrlWithPAR(config, carried, { DPoP: dpop });
    }

    async function answered(begun: Begun): Promise<URL> {
      const url = await push(begun);
      return signIn(alice, { ...begun.request, url: url.href });
    }

    function exchange({ config, parameters, request, dpop }: Begun, callback: URL, isBound = true) {
      const checks = { pkceCodeVerifier: request.verifier, expectedState: parameters['state'] ?? '' };
      return client.authorizationCodeGrant(config, callback, checks, {}, isBound ? { DPoP: dpop } : {});
    }

    it(`The profile ${profile} accepts an unmodified client library that fulfils it, and does not rotate its refresh token`, async () => {
      const begun = await begin();
      const tokens = await exchange(begun, await answered(begun));
      assert.equal(tokens.token_type, 'dpop');
      const refreshed = await client.refreshTokenGrant(
        begun.config,
        tokens.refresh_token ?? '',
        {},
        { DPoP: begun.dpop },
      );
      assert.equal(refreshed.token_type, 'dpop');
      assert.equal(refreshed.refresh_token, tokens.refresh_token);
      const again = await client.refreshTokenGrant(begun.config, tokens.refresh_token ?? '', {}, { DPoP: begun.dpop });
      assert.notEqual(again.access_token, refreshed.access_token);
    });

    it(`The profile ${profile} refuses an authorization request that was not pushed`, async () => {
      const { parameters, request } = await begin();
      const url = new URL('/authorize', server.issuer);
      url.search = new URLSearchParams({ ...parameters, client_id: 'demo-web', response_type: 'code' }).toString();
      assert.equal(await refusal(alice, { ...request, url: url.href }), 'invalid_request');
    });

    it(`The profile ${profile} refuses a pushed request without PKCE or without a redirect URI`, async () => {
      await assert.rejects(begin(NO_CHALLENGE).then(push), { error: 'invalid_request' });
      await assert.rejects(begin({ redirect_uri: '' }).then(push), { error: 'invalid_request' });
    });

    it(`The profile ${profile} refuses to issue a token that is not bound to a key`, async () => {
      const begun = await begin();
      await assert.rejects(exchange(begun, await answered(begun), false), { error: 'invalid_grant' });
    });

    it(`The profile ${profile} refuses a client assertion that is signed with RS256`, async () => {
      const config = await app(rsa);
      await assert.rejects(client.clientCredentialsGrant(config), { error: 'invalid_client' });
    });

    it(`The profile ${profile} limits the lifetime of a code to a minute, whatever the configuration says`, async () => {
      const begun = await begin();
      const callback = await answered(begun);
      travel(61);
      await assert.rejects(exchange(begun, callback), { error: 'invalid_grant' });
    });

    it(`The metadata advertises the requirements of ${profile}`, async () => {
      const metadata = await metadataOf(server);
      assert.equal(metadata['require_pushed_authorization_requests'], true);
      assert.equal(metadata['require_signed_request_object'], signs ? true : undefined);
      assert.deepEqual(metadata['token_endpoint_auth_methods_supported'], ['private_key_jwt']);
      assert.deepEqual(metadata['response_types_supported'], ['code']);
      for (const [name, algorithms] of Object.entries(metadata).filter(([name]) => name.includes('_signing_alg_')))
        for (const alg of algorithms as string[]) assert.match(alg, /^(PS256|ES256|EdDSA|Ed25519)$/, name);
    });

    if (signs) {
      it(`The profile ${profile} refuses a pushed request that is unsigned or has no nbf`, async () => {
        const { config, parameters, dpop } = await begin();
        await assert.rejects(client.buildAuthorizationUrlWithPAR(config, parameters, { DPoP: dpop }), {
          error: 'invalid_request',
        });
        const signed = await client.buildAuthorizationUrlWithJAR(config, parameters, key.privateKey, {
          [client.modifyAssertion]: (_header, payload) => {
            delete payload['nbf'];
          },
        });
        await assert.rejects(client.buildAuthorizationUrlWithPAR(config, signed.searchParams, { DPoP: dpop }), {
          error: 'invalid_request_object',
        });
      });

      it(`The profile ${profile} answers only with signed JWTs`, async () => {
        const begun = await begin();
        const config = await app(key, false);
        const signed = await client.buildAuthorizationUrlWithJAR(config, begun.parameters, key.privateKey);
        await assert.rejects(client.buildAuthorizationUrlWithPAR(config, signed.searchParams, { DPoP: begun.dpop }), {
          error: 'invalid_request',
        });
      });
    }
  });
}

function underFapi(config: Config, profile: Profile, jwks: NonNullable<ClientConfig['jwks']>): Config {
  const [web] = config.clients.filter((one) => one.client_id === 'demo-web');
  if (web === undefined) throw new Error('the demo has no web app');
  const { secret: _secret, ...rest } = web;
  return {
    ...config,
    profile,
    keys: { ...config.keys, algorithms: ['ES256'] },
    tokens: { ...config.tokens, authorization_code: 600 },
    clients: [
      {
        ...rest,
        token_endpoint_auth_method: 'private_key_jwt',
        jwks,
        grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      },
    ],
  };
}

describe('A client that violates its profile', () => {
  it('The server does not start with a configured client that violates the profile', async () => {
    const starting = startTestServer({ change: (config) => ({ ...config, profile: 'fapi2-security' }) });
    await assert.rejects(starting, /client "demo-notes" cannot be used: token_endpoint_auth_method must not be none/);
  });

  it('The server refuses a stored client that violates the profile when it is used', async () => {
    await using server = await startTestServer({
      change: (config) => ({
        ...config,
        profile: 'fapi2-security',
        clients: [],
        keys: { ...config.keys, algorithms: ['ES256'] },
      }),
    });
    const store = await openStore(server.config.stores.grants, systemClock);
    try {
      const redirectUri = 'https://app.example/callback';
      const client: Client = {
        client_id: 'older-than-the-profile',
        client_name: 'Stored',
        type: 'spa',
        redirect_uris: [redirectUri],
        post_logout_redirect_uris: [],
        allowed_origins: [],
        scopes: ['openid'],
        resources: [],
        first_party: false,
        id_token_signing_alg: 'ES256',
        introspection: false,
      };
      await store.set(keyspace<Client>('client')(client.client_id), client);
      const request = authorizationRequest(server.issuer, client.client_id, { redirect_uri: redirectUri });
      assert.equal(await refusal(new Browser(), request), 'invalid_client_metadata');
    } finally {
      await store.close();
    }
  });
});
