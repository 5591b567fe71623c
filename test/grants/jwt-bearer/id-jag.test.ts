import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { clientSchema } from '../../../src/config/sections/client-schema.ts';
import { issuerSchema } from '../../../src/config/sections/issuer-schema.ts';
import type { Config } from '../../../src/config/schema.ts';
import { Secret } from '../../../src/config/secret.ts';
import { openIssuers } from '../../../src/issuers/issuers.ts';
import { recordsOf } from '../../oidc/behind-the-server.ts';
import { returnToPresent, travel } from '../../support/clock.ts';
import { tokenRequest, tokensFor, type TokenAnswer } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { apiOf, verified } from '../../support/tokens.ts';
import { JWT_BEARER } from './foreign-issuer.ts';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type';

describe('Identity assertion grants (ID-JAG)', () => {
  /** Where the API is, and where people are signed in. */
  let chat: TestServer;
  let company: TestServer;
  let idToken: string;
  let alice: string;

  before(async () => {
    chat = await startTestServer({ change: withWiki });
    company = await startTestServer({ change: (config) => withTarget(config, chat.issuer) });
    const tokens = await tokensFor(company.issuer, { clientId: 'demo-web', parameters: { scope: 'openid' } });
    idToken = tokens['id_token'] ?? '';
    alice = (await verified(company.issuer, idToken, 'demo-web')).claims.sub ?? '';
    const records = await recordsOf(chat);
    await openIssuers({ records, configured: [] }).save(
      issuerSchema.parse({
        issuer: company.issuer,
        jwks_uri: `${company.issuer}/jwks`,
        token_types: ['oauth-id-jag+jwt'],
        subject: { is: 'account', links: { [alice]: 'admin@example.com' } },
        clients: ['wiki', 'other'],
        resources: [apiOf(chat.issuer)],
        scopes: ['notes:read'],
      }),
    );
    await records.close();
  });
  afterEach(returnToPresent);
  after(async () => {
    await company.close();
    await chat.close();
  });

  function withWiki(config: Config): Config {
    const client = (id: string, settings: object) =>
      clientSchema.parse({
        client_id: id,
        client_name: id,
        type: 'machine',
        grant_types: [JWT_BEARER],
        scopes: ['notes:read'],
        resources: [apiOf(config.issuer)],
        ...settings,
      });
    return {
      ...config,
      outgoing: { allow: ['localhost'] },
      clients: [
        ...config.clients,
        client('wiki', { secret: new Secret('wiki-secret') }),
        client('other', { secret: new Secret('other-secret') }),
      ],
    };
  }

  function withTarget(config: Config, audience: string): Config {
    const target = { audience, client_id: 'wiki', resources: [apiOf(audience)], scopes: ['notes:read', 'notes:write'] };
    const exchange = {
      clients: ['demo-web', 'demo-notes'],
      subject_token_types: ['access_token', 'id_token'],
      id_jag: [target],
    };
    const { token_exchange } = clientSchema.shape;
    return {
      ...config,
      clients: config.clients.map((client) =>
        client.client_id === 'demo-web'
          ? {
              ...client,
              grant_types: ['authorization_code' as const, EXCHANGE as NonNullable<typeof client.grant_types>[number]],
              token_exchange: token_exchange.parse(exchange),
            }
          : client,
      ),
    };
  }

  const exchange = (more: Record<string, string> = {}): Promise<TokenAnswer> =>
    tokenRequest(
      company.issuer,
      {
        grant_type: EXCHANGE,
        requested_token_type: `${TOKEN_TYPE}:id-jag`,
        subject_token: idToken,
        subject_token_type: `${TOKEN_TYPE}:id_token`,
        audience: chat.issuer,
        scope: 'notes:read',
        ...more,
      },
      'demo-web:demo-web-secret',
    );
  const idJag = async (more?: Record<string, string>): Promise<string> => {
    const { status, body } = await exchange(more);
    assert.equal(status, 200, JSON.stringify(body));
    return String(body['access_token']);
  };
  const bring = (
    assertion: string,
    more: Record<string, string> = {},
    basic = 'wiki:wiki-secret',
  ): Promise<TokenAnswer> => tokenRequest(chat.issuer, { grant_type: JWT_BEARER, assertion, ...more }, basic);

  it('The server issues an ID-JAG for a person’s ID token, for one server, one client and one API', async () => {
    const { status, body } = await exchange();
    const { access_token: assertion, ...answer } = body;
    assert.deepEqual(
      [status, answer],
      [200, { issued_token_type: `${TOKEN_TYPE}:id-jag`, token_type: 'N_A', expires_in: 300, scope: 'notes:read' }],
    );
    const { header, claims } = await verified(company.issuer, String(assertion), chat.issuer);
    assert.equal(header.typ, 'oauth-id-jag+jwt');
    const { jti, iat, exp, auth_time: authTime, ...others } = claims;
    assert.deepEqual([typeof jti, typeof authTime, Number(exp) - Number(iat)], ['string', 'number', 300]);
    assert.deepEqual(others, {
      iss: company.issuer,
      sub: alice,
      aud: chat.issuer,
      client_id: 'wiki',
      resource: apiOf(chat.issuer),
      scope: 'notes:read',
      email: 'alice@example.com',
      email_verified: true,
      acr: claims['acr'],
      amr: claims['amr'],
    });
  });

  it('The metadata of a server says that it issues and accepts ID-JAGs', async () => {
    const response = await fetch(`${company.issuer}/.well-known/oauth-authorization-server`);
    const metadata = (await response.json()) as Record<string, unknown>;
    assert.deepEqual(metadata['identity_chaining_requested_token_types_supported'], [`${TOKEN_TYPE}:id-jag`]);
    assert.deepEqual(metadata['authorization_grant_profiles_supported'], [
      'urn:ietf:params:oauth:grant-profile:id-jag',
    ]);
  });

  it('The other server exchanges the ID-JAG for an access token of its linked account without a question', async () => {
    const { status, body } = await bring(await idJag());
    assert.deepEqual([status, body['scope'], body['token_type']], [200, 'notes:read', 'Bearer']);
    const { claims } = await verified(chat.issuer, String(body['access_token']), apiOf(chat.issuer));
    const { id_token: ofAdmin = '' } = await tokensFor(chat.issuer, {
      person: { email: 'admin@example.com', password: 'latchkey-demo' },
    });
    const admin = (await verified(chat.issuer, ofAdmin, 'demo-notes')).claims.sub;
    assert.deepEqual([claims.sub, claims['client_id']], [admin, 'wiki']);
  });

  it('An ID-JAG works once, and only for its client, its API and its scopes', async () => {
    const assertion = await idJag();
    const refusals = [
      bring(assertion, {}, 'other:other-secret'),
      bring(assertion, { scope: 'notes:read notes:write' }),
      bring(assertion, { resource: 'https://elsewhere.example' }),
      bring(await idJag({ scope: 'notes:write' })),
    ];
    for (const { status, body } of await Promise.all(refusals))
      assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
    assert.equal((await bring(assertion)).status, 200);
    assert.equal((await bring(assertion)).status, 400);
  });

  it('The server that issued an ID-JAG accepts it neither as an access token nor as a subject token', async () => {
    const assertion = await idJag();
    const userinfo = await fetch(`${company.issuer}/userinfo`, { headers: { authorization: `Bearer ${assertion}` } });
    assert.equal(userinfo.status, 401);
    const again = await exchange({ subject_token: assertion });
    assert.deepEqual([again.status, again.body['error']], [400, 'invalid_request']);
  });

  it('The server issues an ID-JAG only for a server, an API and scopes that the client’s policy names', async () => {
    const refusals: [Record<string, string>, string][] = [
      [{ audience: 'https://elsewhere.example' }, 'invalid_target'],
      [{ audience: `${chat.issuer}/` }, 'invalid_target'],
      [{ resource: 'https://elsewhere.example' }, 'invalid_target'],
      [{ scope: 'notes:read notes:purge' }, 'invalid_scope'],
    ];
    for (const [more, error] of refusals) {
      const { status, body } = await exchange(more);
      assert.deepEqual([status, body['error']], [400, error], JSON.stringify(more));
    }
  });

  it('The server issues no ID-JAG for an access token or for the ID token of another client', async () => {
    const ofNotes = await tokensFor(company.issuer);
    const ofWeb = await tokensFor(company.issuer, { clientId: 'demo-web', parameters: { scope: 'openid' } });
    const refusals = [
      { subject_token: ofWeb['access_token'] ?? '', subject_token_type: `${TOKEN_TYPE}:access_token` },
      { subject_token: ofNotes['id_token'] ?? '' },
    ];
    for (const more of refusals) {
      const { status, body } = await exchange(more);
      assert.deepEqual([status, body['error']], [400, 'invalid_request'], JSON.stringify(body));
    }
  });

  it('The server signs a new ID-JAG for each request, with all scopes if the request names none', async () => {
    const [first, second] = [await idJag({ scope: '' }), await idJag({ scope: '' })];
    const names = await Promise.all(
      [first, second].map(async (assertion) => (await verified(company.issuer, assertion, chat.issuer)).claims),
    );
    assert.notEqual(names[0]?.jti, names[1]?.jti);
    assert.equal(names[0]?.['scope'], 'notes:read notes:write');
  });

  it('An ID-JAG expires no later than the ID token that it was issued for', async () => {
    travel(company.config.tokens.id_token - 100);
    const { status, body } = await exchange();
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(decodeJwt(String(body['access_token'])).exp, decodeJwt(idToken).exp);
  });
});
