import assert from 'node:assert/strict';
import { clientSchema } from '../../src/config/sections/client-schema.ts';
import { issuerSchema } from '../../src/config/sections/issuer-schema.ts';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { systemClock } from '../../src/lib/clock.ts';
import {
  clientsWithTokens,
  parseIssued,
  tokensOfAccount,
  tokensOfClient,
  tokensOfGrant,
  tokensOfTrustedIssuer,
} from '../../src/status/token-indexes.ts';
import { everyMember } from '../../src/storage/every-member.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Index, Store } from '../../src/storage/store.ts';
import { decodeJwt } from 'jose';
import { foreignIssuer, JWT_BEARER, type ForeignIssuer } from '../grants/jwt-bearer/foreign-issuer.ts';
import { Browser } from '../support/browser.ts';
import { letIn, poll, startDevice, withTelevision } from '../support/device.ts';
import { ALICE, authorizationRequest, refresh, signIn, tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';
import { placeOf } from './published-lists.ts';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const PARTNER = 'https://partner.example';
const secret = new Secret('a-secret-of-the-tests');

describe('The status index of a JWT access token, and the lists of revocable tokens that contain it', () => {
  let server: TestServer;
  let partner: ForeignIssuer;
  let grants: Store;

  before(async () => {
    server = await startTestServer({ change: withAllWays });
    grants = await openStore(server.config.stores.grants, systemClock);
  });
  after(async () => {
    await grants.close();
    await server.close();
  });

  /** Clients for the ways that the demo's have not. */
  function withAllWays(config: Config): Config {
    partner = foreignIssuer(PARTNER, config.issuer);
    const api = apiOf(config.issuer);
    const machine = (id: string, more: object): ClientConfig =>
      clientSchema.parse({
        ...{ client_id: id, client_name: id, type: 'machine', secret },
        ...{ scopes: ['notes:read'], resources: [api], ...more },
      });
    const policy = { clients: ['demo-notes'], audiences: [api], resources: [api] };
    const old: Partial<ClientConfig> = {
      ...{ client_id: 'old-app', profile: 'legacy', first_party: true, secret, default_resource: api },
      grant_types: ['password', 'authorization_code'],
    };
    const [web] = config.clients.filter(({ client_id }) => client_id === 'demo-web');
    assert.ok(web !== undefined);
    const trusted = issuerSchema.parse({
      ...{
        issuer: PARTNER,
        jwks: { keys: [partner.jwk] },
        clients: ['portal'],
        resources: [api],
        scopes: ['notes:read'],
      },
      subject: { is: 'account', links: { alice: ALICE.email } },
    });
    return withTelevision({
      ...config,
      trusted_issuers: [trusted],
      clients: [
        ...config.clients.filter((client) => client !== web),
        { ...web, profile: 'legacy', first_party: true, default_resource: api, response_types: ['code', 'code token'] },
        { ...web, ...old },
        machine('portal', { grant_types: [JWT_BEARER] }),
        machine('notes-api', { grant_types: ['client_credentials', EXCHANGE], token_exchange: policy }),
      ],
    });
  }

  async function isIn(index: Index<unknown>, token: unknown): Promise<boolean> {
    const { idx, uri } = placeOf(token);
    for await (const members of everyMember(grants, index)) {
      const places = members.map((member) => parseIssued(member));
      if (places.some((place) => place?.idx === idx && uri.endsWith(`/${place.list}`))) return true;
    }
    return false;
  }

  /** The client's always, and that of the grant or, where there is none, of the account. */
  async function assertEntered(token: unknown): Promise<void> {
    const {
      sub = '',
      client_id: client,
      grant_id: grant,
    } = decodeJwt<{ client_id: string; grant_id?: string }>(String(token));
    assert.ok(await isIn(tokensOfClient(client), token), 'its client');
    const hasAccount = sub.startsWith('acc_');
    assert.equal(grant !== undefined && (await isIn(tokensOfGrant(grant), token)), grant !== undefined);
    assert.equal(await isIn(tokensOfAccount(sub), token), hasAccount && grant === undefined);
    const clients: string[] = [];
    for await (const some of clientsWithTokens(grants)) clients.push(...some);
    assert.ok(clients.includes(client));
  }

  const appTokens = () => tokensFor(server.issuer, { parameters: { scope: 'openid notes:read' } });

  it('A token from a code and a token from each refresh have a status index, and not the same', async () => {
    const first = await appTokens();
    const { body: second } = await refresh(server.issuer, first['refresh_token']);
    for (const token of [first['access_token'], second['access_token']]) await assertEntered(token);
    assert.notDeepEqual(placeOf(first['access_token']), placeOf(second['access_token']));
  });

  it('A token from client credentials has a status index', async () => {
    const { body } = await tokenRequest(
      server.issuer,
      { grant_type: 'client_credentials' },
      'demo-service:demo-service-secret',
    );
    await assertEntered(body['access_token']);
  });

  it('A device’s token has a status index', async () => {
    const device = await startDevice(server.issuer, 'tv', { scope: 'openid notes:read' });
    await letIn(server.issuer, new Browser(), device);
    const { body } = await poll(server.issuer, device);
    await assertEntered(body['access_token']);
  });

  it('A token in an authorization response has a status index', async () => {
    const request = authorizationRequest(server.issuer, 'demo-web', {
      response_type: 'code token',
      scope: 'openid notes:read',
      resource: apiOf(server.issuer),
    });
    const { hash, href } = await signIn(new Browser(), request);
    await assertEntered(new URLSearchParams(hash.slice(1)).get('access_token') ?? href);
  });

  it('A token from the password grant has a status index', async () => {
    const parameters = { grant_type: 'password', username: ALICE.email, password: ALICE.password, scope: 'notes:read' };
    const { body } = await tokenRequest(server.issuer, parameters, 'old-app:a-secret-of-the-tests');
    await assertEntered(body['access_token'] ?? JSON.stringify(body));
  });

  it('An exchanged token is found by a revocation of the first token’s grant and of the API that exchanged it', async () => {
    const { access_token } = await appTokens();
    const parameters = {
      ...{ grant_type: EXCHANGE, subject_token: access_token ?? '', resource: apiOf(server.issuer) },
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    };
    const { body } = await tokenRequest(server.issuer, parameters, 'notes-api:a-secret-of-the-tests');
    await assertEntered(body['access_token'] ?? JSON.stringify(body));
    assert.equal(decodeJwt(String(body['access_token']))['grant_id'], decodeJwt(access_token ?? '')['grant_id']);
  });

  it('A token from a JWT assertion is found by a revocation of the trusted issuer', async () => {
    const assertion = partner.assertion({ sub: 'alice' });
    const parameters = { grant_type: JWT_BEARER, assertion, scope: 'notes:read' };
    const { body } = await tokenRequest(server.issuer, parameters, 'portal:a-secret-of-the-tests');
    await assertEntered(body['access_token'] ?? JSON.stringify(body));
    assert.ok(await isIn(tokensOfTrustedIssuer(PARTNER), body['access_token']));
  });
});
