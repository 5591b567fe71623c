import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { verified } from '../support/tokens.ts';

/** A machine of somebody else's, which may not look into foreign tokens. */
function withStranger(config: Config): Config {
  const machines = config.clients.filter(({ type }) => type === 'machine');
  const strangers = machines.map((client) => ({
    ...client,
    client_id: 'stranger',
    secret: new Secret('stranger-secret'),
  }));
  return { ...config, clients: [...config.clients, ...strangers] };
}

const GATEWAY = 'demo-web:demo-web-secret';

describe('Introspection', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withStranger });
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

  it('tells a client that may ask what any token is worth', async () => {
    const { access_token, id_token = '' } = await tokensFor(server.issuer, { parameters: { scope: 'openid email' } });
    const { iat, exp, sid, ...rest } = await introspect(access_token);
    assert.deepEqual(rest, {
      active: true,
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

  it('signs what it says for a client that asks for it', async () => {
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

  it('knows refresh tokens, whatever the hint', async () => {
    const { refresh_token } = await tokensFor(server.issuer);
    for (const hint of ['', 'refresh_token', 'access_token', 'nonsense']) {
      assert.equal((await introspect(refresh_token, GATEWAY, hint))['active'], true, hint);
    }
  });

  it('tells a client without that right of its own tokens only', async () => {
    const theirs = await tokensFor(server.issuer);
    for (const token of [theirs['access_token'], theirs['refresh_token']]) {
      assert.deepEqual(await introspect(token, 'stranger:stranger-secret'), { active: false });
    }
  });

  it('says of made-up, expired and revoked tokens only that they are not active', async () => {
    const { access_token, refresh_token } = await tokensFor(server.issuer);
    assert.deepEqual(await introspect('x'.repeat(43)), { active: false });
    travel(901);
    assert.deepEqual(await introspect(access_token), { active: false });
    const body = new URLSearchParams({ token: refresh_token ?? '', client_id: 'demo-notes' });
    await fetch(`${server.issuer}/revoke`, { method: 'POST', body });
    assert.deepEqual(await introspect(refresh_token), { active: false });
  });

  it('is refused to a public client, to a wrong secret and to nobody', async () => {
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
