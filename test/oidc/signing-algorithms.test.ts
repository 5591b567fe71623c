import assert from 'node:assert/strict';
import type { Config, SigningAlgorithm } from '../../src/config/schema.ts';
import { createVerifier } from '../../src/resource-server/verifier.ts';
import { tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { verified } from '../support/tokens.ts';

const ALGORITHMS: SigningAlgorithm[] = ['ES256', 'RS256', 'PS256', 'EdDSA', 'ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'];
const apiFor = (alg: string): string => `https://${alg.toLowerCase()}.example.com`;

/** An API and an app for each algorithm, beside those of the demo. */
function withAll(config: Config): Config {
  const resources = ALGORITHMS.map((alg) => ({
    identifier: apiFor(alg),
    name: alg,
    scopes: { read: { description: 'Read' } },
    signing_alg: alg,
  }));
  const [notes] = config.clients;
  assert.ok(notes !== undefined);
  const apps = ALGORITHMS.map((alg) => ({ ...notes, client_id: `app-${alg}`, id_token_signing_alg: alg }));
  const demo = config.clients.map((client) => ({
    ...client,
    scopes: [...client.scopes, 'read'],
    resources: [...client.resources, ...ALGORITHMS.map(apiFor)],
  }));
  return {
    ...config,
    keys: { ...config.keys, algorithms: ALGORITHMS },
    resources: [...config.resources, ...resources],
    clients: [...demo, ...apps],
  };
}

describe('A server with keys of every algorithm', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withAll });
  });
  after(() => server.close());

  it('The server publishes a key with alg and kid for each algorithm, and advertises them for ID tokens', async () => {
    const { keys } = (await (await fetch(`${server.issuer}/jwks`)).json()) as { keys: Record<string, string>[] };
    assert.deepEqual(
      keys.map(({ alg, use, kid }) => [alg, use, kid?.length]),
      ALGORITHMS.map((alg) => [alg, 'sig', 43]),
    );
    const secrets = keys.filter((key) => ['d', 'p', 'q', 'priv', 'k'].some((name) => name in key));
    assert.deepEqual(secrets, []);
    const metadata = (await (await fetch(`${server.issuer}/.well-known/openid-configuration`)).json()) as object;
    assert.deepEqual(Reflect.get(metadata, 'id_token_signing_alg_values_supported'), ALGORITHMS);
  });

  for (const alg of ALGORITHMS) {
    it(`The access tokens of an API are signed with ${alg} if the API chose it`, async () => {
      const { issuer } = server;
      const request = { grant_type: 'client_credentials', scope: 'read', resource: apiFor(alg) };
      const { status, body } = await tokenRequest(issuer, request, 'demo-service:demo-service-secret');
      assert.equal(status, 200, JSON.stringify(body));
      const token = String(body['access_token']);
      assert.equal((await verified(issuer, token, apiFor(alg))).header.alg, alg);
      const verifier = createVerifier({ issuer, audience: apiFor(alg), algorithms: [alg] });
      assert.deepEqual((await verifier.verify(token)).scopes, ['read']);
    });

    it(`The ID tokens of a client are signed with ${alg} if the client chose it`, async () => {
      const { id_token } = await tokensFor(server.issuer, { clientId: `app-${alg}` });
      const { header } = await verified(server.issuer, id_token, `app-${alg}`);
      assert.equal(header.alg, alg);
    });
  }
});
