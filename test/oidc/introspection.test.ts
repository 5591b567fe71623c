import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, SignJWT, UnsecuredJWT } from 'jose';
import type { Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { grantKey } from '../../src/sessions/grant-records.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { refresh, tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { verified } from '../support/tokens.ts';

/** A machine of somebody else's, which may not look into foreign tokens; the demo's API, and another one. */
function withOthers(config: Config): Config {
  const [api] = config.resources;
  const [machine] = config.clients.filter(({ type }) => type === 'machine');
  if (api === undefined || machine === undefined) throw new Error('the demo has an API and a machine');
  const named = (client_id: string, introspection: boolean | string[]) => ({
    ...machine,
    ...{ client_id, introspection, secret: new Secret(`${client_id}-secret`) },
  });
  const others = [named('stranger', false), named('api', [api.identifier]), named('other-api', [OTHER_API])];
  const sealed = { ...api, identifier: SEALED_API, access_token_encryption: encryption };
  return {
    ...config,
    resources: [api, { ...api, identifier: OTHER_API }, sealed],
    clients: [...config.clients, ...others].map((client) => ({
      ...client,
      resources: [...client.resources, SEALED_API],
    })),
  };
}

const OTHER_API = 'https://other.example/';
const SEALED_API = 'https://sealed.example/';
const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = { ...publicKey.export({ format: 'jwk' }), kty: 'EC', kid: 'sealed', use: 'enc' } as const;
const encryption = { alg: 'ECDH-ES', enc: 'A256GCM', jwk } as const;

const GATEWAY = 'demo-web:demo-web-secret';
const API = 'api:api-secret';
const SERVICE = 'demo-service:demo-service-secret';
const FOR_API = { parameters: { scope: 'openid notes:read' } };

describe('Introspection', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withOthers });
  });
  after(() => server.close());
  afterEach(returnToPresent);

  async function introspect(token: string | undefined, basic = GATEWAY, hint = ''): Promise<Record<string, unknown>> {
    const response = await fetch(`${server.issuer}/introspect`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(basic).toString('base64')}` },
      body: new URLSearchParams({ token: token ?? '', ...(hint !== '' && { token_type_hint: hint }) }),
    });
    assert.equal(response.status, 200);
    return (await response.json()) as Record<string, unknown>;
  }

  it('A client with the right to introspect receives the details of any token', async () => {
    const { access_token, id_token = '' } = await tokensFor(server.issuer, { parameters: { scope: 'openid email' } });
    const { iat, exp, sid, ...rest } = await introspect(access_token);
    assert.deepEqual(rest, {
      active: true,
      username: 'alice@example.com',
      email: 'alice@example.com',
      iss: server.issuer,
      client_id: 'demo-notes',
      sub: decodeJwt(id_token).sub,
      scope: 'openid email',
      token_type: 'Bearer',
      roles: ['user'],
      acr: 'aal1',
      amr: ['pwd'],
      auth_time: decodeJwt(id_token)['auth_time'],
    });
    assert.equal(Number(exp) - Number(iat), 900);
    assert.equal(sid, decodeJwt(id_token)['sid']);
  });

  it('The introspection response is signed for a client that requests a JWT', async () => {
    const { access_token = '' } = await tokensFor(server.issuer);
    const response = await fetch(`${server.issuer}/introspect`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(GATEWAY)}`, accept: 'application/token-introspection+jwt' },
      body: new URLSearchParams({ token: access_token }),
    });
    assert.match(response.headers.get('content-type') ?? '', /^application\/token-introspection\+jwt/);
    const { header, claims } = await verified(server.issuer, await response.text(), 'demo-web');
    assert.equal(header.typ, 'token-introspection+jwt');
    assert.equal((claims['token_introspection'] as Record<string, unknown>)['active'], true);
  });

  it('The introspection endpoint finds refresh tokens, whatever the token_type_hint', async () => {
    const { refresh_token } = await tokensFor(server.issuer);
    for (const hint of ['', 'refresh_token', 'access_token', 'nonsense']) {
      assert.equal((await introspect(refresh_token, GATEWAY, hint))['active'], true, hint);
    }
  });

  it('A client without the right to introspect learns nothing about tokens of other clients', async () => {
    const theirs = await tokensFor(server.issuer);
    for (const token of [theirs['access_token'], theirs['refresh_token']]) {
      assert.deepEqual(await introspect(token, 'stranger:stranger-secret'), { active: false });
    }
  });

  it('The introspection endpoint answers only active=false for invented, expired and revoked tokens', async () => {
    const { access_token, refresh_token } = await tokensFor(server.issuer);
    assert.deepEqual(await introspect('x'.repeat(43)), { active: false });
    travel(901);
    assert.deepEqual(await introspect(access_token), { active: false });
    const body = new URLSearchParams({ token: refresh_token ?? '', client_id: 'demo-notes' });
    await fetch(`${server.issuer}/revoke`, { method: 'POST', body });
    assert.deepEqual(await introspect(refresh_token), { active: false });
  });

  it('The API, the gateway and the client of a JWT access token receive its claims by introspection', async () => {
    const { access_token = '' } = await tokensFor(server.issuer, FOR_API);
    const said = { ...decodeJwt(access_token), active: true, token_type: 'Bearer' };
    for (const who of [API, GATEWAY])
      assert.deepEqual(await introspect(access_token, who), { ...said, username: 'alice@example.com' });
    const body = new URLSearchParams({ token: access_token, client_id: 'demo-notes' });
    const own = await fetch(`${server.issuer}/introspect`, { method: 'POST', body });
    assert.deepEqual(await own.json(), said);
  });

  it("The API of a machine's JWT receives its claims by introspection, whatever the token_type_hint", async () => {
    const { body } = await tokenRequest(server.issuer, { grant_type: 'client_credentials' }, SERVICE);
    const said = { ...decodeJwt(String(body['access_token'])), active: true, token_type: 'Bearer' };
    for (const hint of ['', 'access_token', 'refresh_token', 'nonsense'])
      assert.deepEqual(await introspect(String(body['access_token']), API, hint), said, hint);
  });

  it('Another API and another client learn nothing about a JWT that is not for them', async () => {
    const { access_token, refresh_token } = await tokensFor(server.issuer, FOR_API);
    for (const who of ['other-api:other-api-secret', 'stranger:stranger-secret'])
      assert.deepEqual(await introspect(access_token, who), { active: false });
    for (const token of [refresh_token, (await tokensFor(server.issuer))['access_token']])
      assert.deepEqual(await introspect(token, API), { active: false }, 'it is for no API');
  });

  it('The signed introspection response is for the requesting API only (RFC 9701 §5)', async () => {
    const { access_token = '' } = await tokensFor(server.issuer, FOR_API);
    const signed = async (token: string) => {
      const response = await fetch(`${server.issuer}/introspect`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(API)}`, accept: 'application/token-introspection+jwt' },
        body: new URLSearchParams({ token }),
      });
      return verified(server.issuer, await response.text(), 'api');
    };
    const { header, claims } = await signed(access_token);
    assert.equal(header.typ, 'token-introspection+jwt');
    assert.deepEqual(Object.keys(claims).sort(), ['aud', 'iat', 'iss', 'token_introspection']);
    assert.deepEqual([claims.iss, claims.aud], [server.issuer, 'api']);
    const who = { username: 'alice@example.com' };
    const inside = { ...decodeJwt(access_token), ...who, active: true, token_type: 'Bearer' };
    assert.deepEqual(claims['token_introspection'], inside);
    assert.deepEqual((await signed('made-up')).claims['token_introspection'], { active: false });
  });

  it('The introspection endpoint answers only active=false for an expired JWT, a revoked one and one of a revoked grant', async () => {
    const { access_token = '', refresh_token = '' } = await tokensFor(server.issuer, FOR_API);
    const { body: next } = await refresh(server.issuer, refresh_token);
    const machine = await tokenRequest(server.issuer, { grant_type: 'client_credentials' }, SERVICE);
    const revoke = (token: string) =>
      fetch(`${server.issuer}/revoke`, {
        method: 'POST',
        body: new URLSearchParams({ token, client_id: 'demo-notes' }),
      });
    await revoke(access_token);
    assert.deepEqual(await introspect(access_token), { active: false });
    assert.equal((await introspect(String(next['access_token'])))['active'], true, 'it was given back alone');
    await revoke(String(next['refresh_token']));
    assert.deepEqual(await introspect(String(next['access_token'])), { active: false });
    assert.equal((await introspect(String(machine.body['access_token'])))['active'], true);
    travel(901);
    assert.deepEqual(await introspect(String(machine.body['access_token'])), { active: false });
  });

  it('The introspection endpoint answers active=false for a JWT whose grant is gone, even if its status is valid', async () => {
    const { access_token = '' } = await tokensFor(server.issuer, FOR_API);
    assert.equal((await introspect(access_token))['active'], true);
    const store = await openStore(server.config.stores.grants, systemClock);
    try {
      assert.ok(await store.delete(grantKey(String(decodeJwt(access_token)['grant_id']))));
    } finally {
      await store.close();
    }
    assert.deepEqual(await introspect(access_token), { active: false });
  });

  it('The introspection endpoint answers active=false for forged and malformed JWTs', async () => {
    const { access_token = '', id_token } = await tokensFor(server.issuer, FOR_API);
    const claims = decodeJwt(access_token);
    const header = { ...decodeProtectedHeader(access_token), alg: 'ES256' };
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const [head = '', body = '', signature = ''] = access_token.split('.');
    const { keys } = (await (await fetch(`${server.issuer}/jwks`)).json()) as { keys: object[] };
    const otherPlace = { status_list: { uri: 'https://evil.example/status/1', idx: 0 } };
    const forged = {
      'signed by another key': await new SignJWT(claims).setProtectedHeader(header).sign(privateKey),
      'signed with the public key as a secret': await new SignJWT(claims)
        .setProtectedHeader({ ...header, alg: 'HS256' })
        .sign(Buffer.from(JSON.stringify(keys[0]))),
      'not signed': new UnsecuredJWT(claims).encode(),
      'its key brought along': await new SignJWT({ ...claims, status: otherPlace })
        .setProtectedHeader({ ...header, jwk: publicKey.export({ format: 'jwk' }), jku: 'https://evil.example/jwks' })
        .sign(privateKey),
      'another signature': [head, body, signature.split('').reverse().join('')].join('.'),
      'without its signature': `${head}.${body}.`,
      'an ID token': id_token,
      'half of one': `${head}.${body}`,
      'very long': `${head}.${'x'.repeat(40_000)}.${signature}`,
    };
    for (const [what, token] of Object.entries(forged))
      assert.deepEqual(await introspect(token, GATEWAY), { active: false }, what);
    assert.equal((await introspect(access_token))['active'], true);
  });

  it('The introspection endpoint answers unsupported_token_type for a token that only its API can decrypt', async () => {
    const parameters = { grant_type: 'client_credentials', resource: SEALED_API };
    const { body } = await tokenRequest(server.issuer, parameters, SERVICE);
    for (const path of ['introspect', 'revoke']) {
      const response = await fetch(`${server.issuer}/${path}`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(SERVICE)}` },
        body: new URLSearchParams({ token: String(body['access_token']) }),
      });
      assert.equal(response.status, 400);
      assert.equal(((await response.json()) as { error: string }).error, 'unsupported_token_type', path);
    }
  });

  it('The introspection endpoint refuses a wrong secret and a request without a client', async () => {
    const { access_token = '' } = await tokensFor(server.issuer);
    const body = (more: Record<string, string>): URLSearchParams =>
      new URLSearchParams({ token: access_token, ...more });
    const ask = (more: Record<string, string>): Promise<Response> =>
      fetch(`${server.issuer}/introspect`, { method: 'POST', body: body(more) });
    const wrong = await ask({ client_id: 'demo-web', client_secret: 'wrong' });
    assert.equal(wrong.status, 401);
    const nobody = await ask({});
    assert.equal(nobody.status, 400);
    for (const response of [wrong, nobody]) {
      assert.equal(((await response.json()) as Record<string, unknown>)['active'], undefined);
    }
  });
});
