import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import {
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  refresh,
  signIn,
  tokenRequest,
  tokensFor,
} from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

const LEDGER = 'https://ledger.example';

/** Beside the Notes API one that chose RS256 and a shorter life, and that only the web app may use. */
function withLedger(config: Config): Config {
  return {
    ...config,
    resources: [
      ...config.resources,
      {
        identifier: LEDGER,
        name: 'Ledger',
        scopes: { 'ledger:read': { description: 'Read the ledger' } },
        signing_alg: 'RS256',
        access_token_ttl: 60,
        access_token_type: 'jwt',
      },
    ],
    clients: config.clients.map((client) =>
      client.client_id === 'demo-web'
        ? {
            ...client,
            first_party: true,
            scopes: [...client.scopes, 'ledger:read'],
            resources: [...client.resources, LEDGER],
          }
        : client,
    ),
  };
}

describe('Access tokens', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer({ change: withLedger });
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());
  afterEach(returnToPresent);

  const tokens = (clientId: string, parameters: Record<string, string>): Promise<Record<string, string>> =>
    tokensFor(server.issuer, { browser: alice, clientId, parameters });

  it('A JWT access token names the account, the client, the API, the lifetime and the sign-in', async () => {
    const { issuer } = server;
    const { access_token, id_token, expires_in } = await tokens('demo-notes', { scope: 'openid notes:read' });
    const { header, claims } = await verified(issuer, access_token, apiOf(issuer));
    const { claims: person } = await verified(issuer, id_token, 'demo-notes');
    assert.deepEqual([header.typ, header.alg], ['at+jwt', 'ES256']);
    const { jti, iat = 0, exp = 0, grant_id, status, ...rest } = claims;
    assert.match(JSON.stringify(status), /^\{"status_list":\{"idx":\d+,"uri":"[^"]+"\}\}$/);
    for (const id of [jti, grant_id]) assert.match(String(id), /^[\w-]{20,}$/);
    assert.deepEqual([exp - iat, expires_in], [900, 900]);
    assert.deepEqual(rest, {
      iss: issuer,
      aud: apiOf(issuer),
      sub: person.sub,
      client_id: 'demo-notes',
      scope: 'notes:read',
      roles: ['user'],
      acr: 'aal1',
      amr: ['pwd'],
      auth_time: person['auth_time'],
      sid: person['sid'],
    });
  });

  it('An access token has the signing algorithm and the lifetime of its API', async () => {
    const { access_token, expires_in } = await tokens('demo-web', { scope: 'openid ledger:read', resource: LEDGER });
    const { header, claims } = await verified(server.issuer, access_token, LEDGER);
    assert.equal(header.alg, 'RS256');
    assert.deepEqual([(claims.exp ?? 0) - (claims.iat ?? 0), expires_in], [60, 60]);
  });

  it('A refreshed access token has the same claims with a new jti', async () => {
    const first = await tokens('demo-notes', { scope: 'openid notes:read' });
    travel(60);
    const { body: second } = await refresh(server.issuer, first['refresh_token']);
    const [before, after] = await Promise.all(
      [first, second].map(async ({ access_token }) => {
        const { claims } = await verified(server.issuer, String(access_token), apiOf(server.issuer));
        const { jti, iat, exp, status: _place, ...rest } = claims;
        return { jti, exp: Number(exp) - Number(iat), rest };
      }),
    );
    assert.deepEqual(after?.rest, before?.rest);
    assert.equal(after?.exp, before?.exp);
    assert.notEqual(after?.jti, before?.jti);
  });

  it('An access token without API scopes is opaque and valid for /userinfo', async () => {
    const { access_token = '', scope } = await tokens('demo-notes', { scope: 'openid profile' });
    assert.match(access_token, /^[\w-]{43}$/);
    assert.equal(scope, 'openid profile');
  });

  it('An access token of type JWT can be introspected and revoked', async () => {
    const { access_token = '' } = await tokens('demo-web', { scope: 'openid ledger:read', resource: LEDGER });
    assert.equal((await verified(server.issuer, access_token, LEDGER)).header.typ, 'JWT');
    const post = async (path: string) =>
      fetch(`${server.issuer}/${path}`, {
        method: 'POST',
        body: new URLSearchParams({ token: access_token }),
        headers: { authorization: `Basic ${Buffer.from('demo-web:demo-web-secret').toString('base64')}` },
      });
    const isActive = async () => ((await (await post('introspect')).json()) as { active: boolean }).active;
    assert.equal(await isActive(), true);
    assert.equal((await post('revoke')).status, 200);
    assert.equal(await isActive(), false);
  });

  it('The authorization endpoint refuses an access token of type JWT as an id_token_hint', async () => {
    const { access_token } = await tokens('demo-web', { scope: 'openid ledger:read', resource: LEDGER });
    const hint = { prompt: 'none', id_token_hint: access_token ?? '' };
    const answer = await answerAtOnce(alice, authorizationRequest(server.issuer, 'demo-web', hint));
    assert.deepEqual([answer['error'], answer['code']], ['invalid_request', undefined]);
  });

  it('An access token is for the default API of the client if the request has a scope of that API', async () => {
    const withDefault = await tokens('demo-notes', { scope: 'openid notes:read' });
    assert.equal(withDefault['scope'], 'notes:read');
  });

  it('An access token is for the only API that has the requested scope if the client has no default', async () => {
    const { access_token, scope } = await tokens('demo-web', { scope: 'openid notes:read' });
    assert.equal(scope, 'notes:read');
    assert.equal((await verified(server.issuer, access_token, apiOf(server.issuer))).claims['scope'], 'notes:read');
  });

  it('The authorization endpoint refuses scopes of several APIs, and advises to name one by resource', async () => {
    const request = authorizationRequest(server.issuer, 'demo-web', { scope: 'openid notes:read ledger:read' });
    const answer = await answerAtOnce(alice, request);
    assert.equal(answer['error'], 'invalid_target');
    assert.match(
      String(answer['error_description']),
      /several APIs .* notes:read ledger:read: name one of them by resource/,
    );
  });

  it('The token endpoint issues one access token for each requested resource', async () => {
    const api = apiOf(server.issuer);
    const request = authorizationRequest(server.issuer, 'demo-web', {
      scope: 'openid notes:read ledger:read',
      resource: api,
    });
    const both = new URL(request.url);
    both.searchParams.append('resource', LEDGER);
    const callback = await signIn(alice, { ...request, url: both.href });
    const basic = 'demo-web:demo-web-secret';
    const common = {
      redirect_uri: request.redirectUri,
      code_verifier: request.verifier,
      code: callback.searchParams.get('code') ?? '',
    };

    const first = await tokenRequest(
      server.issuer,
      { grant_type: 'authorization_code', ...common, resource: LEDGER },
      basic,
    );
    assert.equal(
      (await verified(server.issuer, String(first.body['access_token']), LEDGER)).claims['scope'],
      'ledger:read',
    );
    const second = await tokenRequest(
      server.issuer,
      { grant_type: 'refresh_token', refresh_token: String(first.body['refresh_token']), resource: api },
      basic,
    );
    assert.equal(
      (await verified(server.issuer, String(second.body['access_token']), api)).claims['scope'],
      'notes:read',
    );
  });

  for (const [which, resource] of [
    ['is not registered', 'https://unknown.example'],
    ['the client may not use', LEDGER],
    ['is not a URI', 'ledger'],
  ] as const) {
    it(`The authorization endpoint refuses an API that ${which}`, async () => {
      const request = authorizationRequest(server.issuer, 'demo-notes', {
        scope: 'openid notes:read ledger:read',
        resource,
      });
      const answer = await answerAtOnce(alice, request);
      assert.equal(answer['error'], 'invalid_target');
      assert.equal(answer['code'], undefined);
    });
  }

  it('The token endpoint refuses an API that was not part of the authorization', async () => {
    const request = authorizationRequest(server.issuer, 'demo-web', {
      scope: 'openid notes:read',
      resource: apiOf(server.issuer),
    });
    const callback = await signIn(alice, request);
    const { status, body } = await tokenRequest(
      server.issuer,
      {
        grant_type: 'authorization_code',
        code: callback.searchParams.get('code') ?? '',
        redirect_uri: request.redirectUri,
        code_verifier: request.verifier,
        resource: LEDGER,
      },
      'demo-web:demo-web-secret',
    );
    assert.deepEqual([status, body['error']], [400, 'invalid_target']);
  });

  it('The access tokens expire after fifteen minutes', async () => {
    const jwt = await tokens('demo-notes', { scope: 'openid notes:read' });
    const opaque = await tokens('demo-notes', { scope: 'openid' });
    const userinfo = (): Promise<Response> =>
      fetch(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${String(opaque['access_token'])}` } });
    travel(880);
    await verified(server.issuer, jwt['access_token'], apiOf(server.issuer));
    assert.equal((await userinfo()).status, 200);
    travel(21);
    await assert.rejects(verified(server.issuer, jwt['access_token'], apiOf(server.issuer)), {
      code: 'ERR_JWT_EXPIRED',
    });
    assert.equal((await userinfo()).status, 401);
  });

  it('An access token is not accepted as an ID token, nor an ID token as an access token', async () => {
    const { access_token, id_token } = await tokens('demo-notes', { scope: 'openid notes:read' });
    await assert.rejects(verified(server.issuer, access_token, 'demo-notes'), {
      code: 'ERR_JWT_CLAIM_VALIDATION_FAILED',
    });
    await assert.rejects(verified(server.issuer, id_token, apiOf(server.issuer)), {
      code: 'ERR_JWT_CLAIM_VALIDATION_FAILED',
    });
    const asBearer = await fetch(`${server.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${String(id_token)}` },
    });
    assert.equal(asBearer.status, 401);
  });

  it('The token response names the scopes of the access token', async () => {
    const request = authorizationRequest(server.issuer, 'demo-notes', { scope: 'openid notes:read made:up' });
    const { body } = await exchangeCode(server.issuer, request, await signIn(alice, request));
    assert.equal(body['scope'], 'notes:read');
  });
});
