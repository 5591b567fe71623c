import assert from 'node:assert/strict';
import { Browser } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import { ADMIN } from '../support/flows.ts';
import { apiOf, verified } from '../support/tokens.ts';
import {
  ACCESS_TOKEN,
  appTokens,
  ARCHIVE,
  exchange,
  exchanged,
  ID_TOKEN,
  machineToken,
  secretOf,
  startWorld,
  VAULT,
  type World,
} from './exchange-world.ts';

describe('Token exchange', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.server.close());
  afterEach(returnToPresent);

  it('gives an API a token for the next one, which speaks for the same person and names the API as the actor', async () => {
    const { access_token } = await appTokens(world);
    const { claims: before } = await verified(world.server.issuer, access_token, apiOf(world.server.issuer));
    const { claims, body } = await exchanged(world, exchange(world, 'notes-api', access_token));
    assert.deepEqual(
      { ...body, access_token: undefined, expires_in: undefined },
      {
        access_token: undefined,
        expires_in: undefined,
        issued_token_type: ACCESS_TOKEN,
        token_type: 'Bearer',
        scope: 'notes:read',
      },
    );
    const { jti, iat, status, ...rest } = claims;
    assert.ok(jti !== before.jti && typeof iat === 'number');
    assert.ok(status !== undefined, 'it can be revoked');
    assert.deepEqual(rest, {
      iss: world.server.issuer,
      aud: ARCHIVE,
      sub: before.sub,
      client_id: 'notes-api',
      scope: 'notes:read',
      exp: before.exp,
      roles: ['user'],
      acr: 'aal1',
      amr: ['pwd'],
      auth_time: before['auth_time'],
      sid: before['sid'],
      grant_id: before['grant_id'],
      act: { sub: 'notes-api' },
    });
  });

  it('takes an audience for a resource, and a JWT for what an access token is', async () => {
    const { access_token } = await appTokens(world);
    const jwt = 'urn:ietf:params:oauth:token-type:jwt';
    const parameters = { resource: '', audience: ARCHIVE, requested_token_type: jwt };
    const { body } = await exchanged(world, exchange(world, 'notes-api', access_token, parameters));
    assert.equal(body['issued_token_type'], jwt);
  });

  it('names every API on the way, the latest first', async () => {
    const { access_token } = await appTokens(world);
    const first = await exchanged(world, exchange(world, 'notes-api', access_token));
    const second = await exchanged(world, exchange(world, 'archive-api', first.token, { resource: VAULT }), VAULT);
    assert.deepEqual(second.claims['act'], { sub: 'archive-api', act: { sub: 'notes-api' } });
    assert.deepEqual([second.claims['scope'], second.claims.exp], ['notes:read', first.claims.exp]);
  });

  it('names as the actor whose token comes along', async () => {
    const { access_token } = await appTokens(world);
    const admin = { browser: new Browser(), person: ADMIN };
    const support = await appTokens(world, {}, admin);
    const { claims: agent } = await verified(world.server.issuer, support['id_token'], 'demo-notes');
    const tokens = [
      { actor_token: await machineToken(world), actor_token_type: ACCESS_TOKEN, actor: 'demo-service' },
      { actor_token: support['access_token'] ?? '', actor_token_type: ACCESS_TOKEN, actor: agent.sub },
      { actor_token: support['id_token'] ?? '', actor_token_type: ID_TOKEN, actor: agent.sub },
    ];
    for (const { actor, ...parameters } of tokens) {
      const { claims } = await exchanged(world, exchange(world, 'desk', access_token, parameters));
      assert.deepEqual([claims['act'], claims['scope'], claims['roles']], [{ sub: actor }, 'notes:read', ['user']]);
    }
  });

  it('names no actor for a client that may impersonate', async () => {
    const { access_token } = await appTokens(world);
    const { claims } = await exchanged(world, exchange(world, 'mask', access_token));
    assert.deepEqual([claims['act'], claims['client_id']], [undefined, 'mask']);
  });

  it('gives what the roles of the person allow now, and less where less is asked for', async () => {
    const tokens = await appTokens(world, {}, { browser: new Browser(), person: ADMIN });
    const scopes = async (parameters: Record<string, string>): Promise<unknown> =>
      (await exchanged(world, exchange(world, 'notes-api', tokens['access_token'], parameters))).claims['scope'];
    assert.equal(await scopes({}), 'notes:read notes:purge');
    assert.equal(await scopes({ scope: 'notes:purge' }), 'notes:purge');
  });

  it('gives less where the client may less', async () => {
    const tokens = await appTokens(world, {}, { browser: new Browser(), person: ADMIN });
    const { claims } = await exchanged(world, exchange(world, 'reader', tokens['access_token']));
    assert.equal(claims['scope'], 'notes:read');
  });

  it('lets a token live no longer than the one it came from, however often it is exchanged', async () => {
    const { access_token } = await appTokens(world);
    const { claims: before } = await verified(world.server.issuer, access_token, apiOf(world.server.issuer));
    let { token } = await exchanged(world, exchange(world, 'notes-api', access_token));
    for (let times = 0; times < 3; times += 1) {
      travel(200);
      const next = await exchanged(world, exchange(world, 'archive-api', token));
      assert.equal(next.claims.exp, before.exp);
      assert.equal(next.body['expires_in'], (next.claims.exp ?? 0) - (next.claims.iat ?? 0));
      ({ token } = next);
    }
    travel(301);
    assert.equal((await exchange(world, 'archive-api', token)).status, 400);
  });

  it('lets a token live no longer than its actor’s', async () => {
    const actor = await machineToken(world);
    const { exp } = (await verified(world.server.issuer, actor, apiOf(world.server.issuer))).claims;
    travel(100);
    const { access_token } = await appTokens(world);
    const parameters = { actor_token: actor, actor_token_type: ACCESS_TOKEN };
    const { claims } = await exchanged(world, exchange(world, 'desk', access_token, parameters));
    assert.equal(claims.exp, exp);
  });

  it('gives for an ID token, which has no scope, a token that says who it is and opens nothing', async () => {
    const { id_token } = await appTokens(world);
    const { claims: person } = await verified(world.server.issuer, id_token, 'demo-notes');
    const { claims } = await exchanged(world, exchange(world, 'reader', id_token, { subject_token_type: ID_TOKEN }));
    assert.deepEqual(
      [claims.sub, claims['scope'], claims['roles'], claims['auth_time'], claims['act']],
      [person.sub, undefined, undefined, person['auth_time'], { sub: 'reader' }],
    );
  });

  it('gives for an opaque token of this server’s what it allows at an API: nothing', async () => {
    const { access_token = '', id_token } = await appTokens(world, { scope: 'openid profile' });
    assert.match(access_token, /^[\w-]{43}$/);
    const { claims: person } = await verified(world.server.issuer, id_token, 'demo-notes');
    const { claims } = await exchanged(world, exchange(world, 'notes-api', access_token));
    assert.deepEqual([claims.sub, claims['scope']], [person.sub, undefined]);
  });

  it('speaks for a machine where the token handed in does', async () => {
    const { claims } = await exchanged(world, exchange(world, 'machines', await machineToken(world)));
    assert.deepEqual(
      [claims.sub, claims['client_id'], claims['scope'], claims['act'], claims['roles']],
      ['demo-service', 'machines', 'notes:read', { sub: 'machines' }, undefined],
    );
  });

  it('is for the one whom a token names as who may act, and for nobody else', async () => {
    const token = await machineToken(world, `careful:${secretOf('careful')}`);
    const { claims } = await exchanged(world, exchange(world, 'deputised', token));
    assert.deepEqual(claims['act'], { sub: 'deputised' });
    const { status, body } = await exchange(world, 'stranger', token);
    assert.deepEqual([status, body['error']], [400, 'invalid_request']);
  });

  it('gives each of many at once a token of its own', async () => {
    const { access_token } = await appTokens(world);
    const all = await Promise.all(
      Array.from({ length: 20 }, () => exchanged(world, exchange(world, 'notes-api', access_token))),
    );
    assert.equal(new Set(all.map(({ claims }) => claims.jti)).size, 20);
  });
});
