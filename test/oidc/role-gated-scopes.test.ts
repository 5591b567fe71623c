import assert from 'node:assert/strict';
import { CIBA_GRANT } from '../../src/config/sections/client-schema.ts';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { openToAll, register } from '../registration/registering.ts';
import { Browser } from '../support/browser.ts';
import { letIn, poll, startDevice, televisions } from '../support/device.ts';
import { ADMIN, ALICE, authorizationRequest, signIn, tokenRequest, type Person } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

const GATED = 'notes:admin';
const REDIRECT = 'https://app.example/callback';

/** A scope that needs the role `admin`, open registration of machines for it, and apps of the operator that have it. */
function withGatedScope(config: Config): Config {
  const api = config.resources[0]?.identifier ?? '';
  const withScope = (client: ClientConfig): ClientConfig => ({
    ...client,
    default_resource: api,
    scopes: [...client.scopes, GATED],
    ...(client.client_id === 'box' && { grant_types: [CIBA_GRANT] }),
  });
  return openToAll({
    max_per_hour: 1000,
    scopes: ['openid', GATED],
    resources: [api],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  })({
    ...config,
    resources: config.resources.map((resource) => ({
      ...resource,
      scopes: { ...resource.scopes, [GATED]: { description: 'Manage all notes', roles: ['admin'] } },
    })),
    clients: [...config.clients, ...televisions(config)].map(withScope),
  });
}

describe('Scopes that need a role', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withGatedScope });
  });
  after(() => server.close());

  async function scopeOf(body: Record<string, unknown>): Promise<unknown> {
    const { claims } = await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    return claims['scope'];
  }

  async function stranger(metadata: object): Promise<{ id: string; basic: string }> {
    const { status, body } = await register(server, { scope: `openid ${GATED}`, ...metadata });
    assert.equal(status, 201, JSON.stringify(body));
    return { id: String(body['client_id']), basic: `${String(body['client_id'])}:${String(body['client_secret'])}` };
  }

  const asMachine = (basic: string) =>
    tokenRequest(
      server.issuer,
      { grant_type: 'client_credentials', scope: GATED, resource: apiOf(server.issuer) },
      basic,
    );

  it('A machine that registered itself does not receive a role-gated scope', async () => {
    for (const metadata of [
      { grant_types: ['client_credentials'], redirect_uris: undefined },
      { grant_types: ['authorization_code', 'client_credentials'] },
    ]) {
      const { basic } = await stranger(metadata);
      const { status, body } = await asMachine(basic);
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual([body['scope'], await scopeOf(body)], [undefined, undefined]);
    }
  });

  it('A machine that the operator registered for a role-gated scope receives it', async () => {
    const { body } = await asMachine('demo-service:demo-service-secret');
    assert.equal(await scopeOf(body), GATED);
  });

  it('An app that registered itself receives a role-gated scope only for a person with the role', async () => {
    const { id, basic } = await stranger({});
    const scopeFor = async (person: Person): Promise<unknown> => {
      const parameters = { scope: `openid ${GATED}`, resource: apiOf(server.issuer), redirect_uri: REDIRECT };
      const request = authorizationRequest(server.issuer, id, parameters);
      const callback = await signIn(new Browser(), request, person);
      const { body } = await tokenRequest(
        server.issuer,
        {
          grant_type: 'authorization_code',
          code: callback.searchParams.get('code') ?? '',
          redirect_uri: REDIRECT,
          code_verifier: request.verifier,
        },
        basic,
      );
      return scopeOf(body);
    };
    assert.deepEqual([await scopeFor(ALICE), await scopeFor(ADMIN)], [undefined, GATED]);
  });

  it('The scopes of a device follow the roles of the person who approved it', async () => {
    for (const [person, expected] of [
      [ALICE, 'notes:read'],
      [ADMIN, `notes:read ${GATED}`],
    ] as const) {
      const device = await startDevice(server.issuer, 'tv', { scope: `openid notes:read ${GATED}` });
      await letIn(server.issuer, new Browser(), device, person);
      assert.equal(await scopeOf((await poll(server.issuer, device)).body), expected, person.email);
    }
  });

  it('The scopes of a CIBA request follow the roles of the person who approved it', async () => {
    for (const [person, expected] of [
      [ALICE, 'notes:read'],
      [ADMIN, `notes:read ${GATED}`],
    ] as const) {
      const response = await fetch(`${server.issuer}/backchannel_authentication`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa('box:demo-web-secret')}` },
        body: new URLSearchParams({ scope: `openid notes:read ${GATED}`, login_hint: person.email }),
      });
      const { auth_req_id: id } = (await response.json()) as { auth_req_id: string };
      const browser = new Browser();
      await signIn(browser, authorizationRequest(server.issuer), person);
      await browser.submit(await browser.visit(`${server.issuer}/`), { decision: 'allow' });
      const { body } = await tokenRequest(
        server.issuer,
        { grant_type: CIBA_GRANT, auth_req_id: id },
        'box:demo-web-secret',
      );
      assert.equal(await scopeOf(body), expected, JSON.stringify(body));
    }
  });
});
