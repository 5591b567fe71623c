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
  startExchangeSetup,
  VAULT,
  type ExchangeSetup,
} from './exchange-setup.ts';

describe('Token exchange', () => {
  let setup: ExchangeSetup;
  before(async () => {
    setup = await startExchangeSetup();
  });
  after(() => setup.server.close());
  afterEach(returnToPresent);

  it('An API gets a token for the next API, with the same subject and itself as the actor', async () => {
    const { access_token } = await appTokens(setup);
    const { claims: before } = await verified(setup.server.issuer, access_token, apiOf(setup.server.issuer));
    const { claims, body } = await exchanged(setup, exchange(setup, 'notes-api', access_token));
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
      iss: setup.server.issuer,
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

  it('The server accepts an audience in place of a resource, and jwt as the requested token type', async () => {
    const { access_token } = await appTokens(setup);
    const jwt = 'urn:ietf:params:oauth:token-type:jwt';
    const parameters = { resource: '', audience: ARCHIVE, requested_token_type: jwt };
    const { body } = await exchanged(setup, exchange(setup, 'notes-api', access_token, parameters));
    assert.equal(body['issued_token_type'], jwt);
  });

  it('The act claim names every API in the chain, the latest first', async () => {
    const { access_token } = await appTokens(setup);
    const first = await exchanged(setup, exchange(setup, 'notes-api', access_token));
    const second = await exchanged(setup, exchange(setup, 'archive-api', first.token, { resource: VAULT }), VAULT);
    assert.deepEqual(second.claims['act'], { sub: 'archive-api', act: { sub: 'notes-api' } });
    assert.deepEqual([second.claims['scope'], second.claims.exp], ['notes:read', first.claims.exp]);
  });

  it('The act claim names the subject of the actor token', async () => {
    const { access_token } = await appTokens(setup);
    const admin = { browser: new Browser(), person: ADMIN };
    const support = await appTokens(setup, {}, admin);
    const { claims: agent } = await verified(setup.server.issuer, support['id_token'], 'demo-notes');
    const tokens = [
      { actor_token: await machineToken(setup), actor_token_type: ACCESS_TOKEN, actor: 'demo-service' },
      { actor_token: support['access_token'] ?? '', actor_token_type: ACCESS_TOKEN, actor: agent.sub },
      { actor_token: support['id_token'] ?? '', actor_token_type: ID_TOKEN, actor: agent.sub },
    ];
    for (const { actor, ...parameters } of tokens) {
      const { claims } = await exchanged(setup, exchange(setup, 'desk', access_token, parameters));
      assert.deepEqual([claims['act'], claims['scope'], claims['roles']], [{ sub: actor }, 'notes:read', ['user']]);
    }
  });

  it('The token of a client that may impersonate has no act claim', async () => {
    const { access_token } = await appTokens(setup);
    const { claims } = await exchanged(setup, exchange(setup, 'mask', access_token));
    assert.deepEqual([claims['act'], claims['client_id']], [undefined, 'mask']);
  });

  it('The scopes are those that the account’s roles allow now, or the requested part of them', async () => {
    const tokens = await appTokens(setup, {}, { browser: new Browser(), person: ADMIN });
    const scopes = async (parameters: Record<string, string>): Promise<unknown> =>
      (await exchanged(setup, exchange(setup, 'notes-api', tokens['access_token'], parameters))).claims['scope'];
    assert.equal(await scopes({}), 'notes:read notes:purge');
    assert.equal(await scopes({ scope: 'notes:purge' }), 'notes:purge');
  });

  it('The scopes do not exceed those of the exchanging client', async () => {
    const tokens = await appTokens(setup, {}, { browser: new Browser(), person: ADMIN });
    const { claims } = await exchanged(setup, exchange(setup, 'reader', tokens['access_token']));
    assert.equal(claims['scope'], 'notes:read');
  });

  it('An exchanged token expires no later than the first subject token, however often it is exchanged', async () => {
    const { access_token } = await appTokens(setup);
    const { claims: before } = await verified(setup.server.issuer, access_token, apiOf(setup.server.issuer));
    let { token } = await exchanged(setup, exchange(setup, 'notes-api', access_token));
    for (let times = 0; times < 3; times += 1) {
      travel(200);
      const next = await exchanged(setup, exchange(setup, 'archive-api', token));
      assert.equal(next.claims.exp, before.exp);
      assert.equal(next.body['expires_in'], (next.claims.exp ?? 0) - (next.claims.iat ?? 0));
      ({ token } = next);
    }
    travel(301);
    assert.equal((await exchange(setup, 'archive-api', token)).status, 400);
  });

  it('An exchanged token expires no later than its actor token', async () => {
    const actor = await machineToken(setup);
    const { exp } = (await verified(setup.server.issuer, actor, apiOf(setup.server.issuer))).claims;
    travel(100);
    const { access_token } = await appTokens(setup);
    const parameters = { actor_token: actor, actor_token_type: ACCESS_TOKEN };
    const { claims } = await exchanged(setup, exchange(setup, 'desk', access_token, parameters));
    assert.equal(claims.exp, exp);
  });

  it('The exchange of an ID token, which has no scope, yields a token with its subject but no scope', async () => {
    const { id_token } = await appTokens(setup);
    const { claims: person } = await verified(setup.server.issuer, id_token, 'demo-notes');
    const { claims } = await exchanged(setup, exchange(setup, 'reader', id_token, { subject_token_type: ID_TOKEN }));
    assert.deepEqual(
      [claims.sub, claims['scope'], claims['roles'], claims['auth_time'], claims['act']],
      [person.sub, undefined, undefined, person['auth_time'], { sub: 'reader' }],
    );
  });

  it('The exchange of an opaque access token yields a token without scope', async () => {
    const { access_token = '', id_token } = await appTokens(setup, { scope: 'openid profile' });
    assert.match(access_token, /^[\w-]{43}$/);
    const { claims: person } = await verified(setup.server.issuer, id_token, 'demo-notes');
    const { claims } = await exchanged(setup, exchange(setup, 'notes-api', access_token));
    assert.deepEqual([claims.sub, claims['scope']], [person.sub, undefined]);
  });

  it('The exchange of a machine token yields a token for the same machine', async () => {
    const { claims } = await exchanged(setup, exchange(setup, 'machines', await machineToken(setup)));
    assert.deepEqual(
      [claims.sub, claims['client_id'], claims['scope'], claims['act'], claims['roles']],
      ['demo-service', 'machines', 'notes:read', { sub: 'machines' }, undefined],
    );
  });

  it('Only the client that the may_act claim names can exchange the token', async () => {
    const token = await machineToken(setup, `careful:${secretOf('careful')}`);
    const { claims } = await exchanged(setup, exchange(setup, 'deputised', token));
    assert.deepEqual(claims['act'], { sub: 'deputised' });
    const { status, body } = await exchange(setup, 'stranger', token);
    assert.deepEqual([status, body['error']], [400, 'invalid_request']);
  });

  it('Each of many simultaneous exchanges gets its own token', async () => {
    const { access_token } = await appTokens(setup);
    const all = await Promise.all(
      Array.from({ length: 20 }, () => exchanged(setup, exchange(setup, 'notes-api', access_token))),
    );
    assert.equal(new Set(all.map(({ claims }) => claims.jti)).size, 20);
  });
});
