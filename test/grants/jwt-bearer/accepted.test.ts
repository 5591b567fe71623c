import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import jsonwebtoken from 'jsonwebtoken';
import { clientSchema } from '../../../src/config/sections/client-schema.ts';
import { issuerSchema } from '../../../src/config/sections/issuer-schema.ts';
import type { Config } from '../../../src/config/schema.ts';
import { Secret } from '../../../src/config/secret.ts';
import { openIssuers } from '../../../src/issuers/issuers.ts';
import { recordsOf } from '../../oidc/behind-the-server.ts';
import { tokenRequest, tokensFor, type TokenAnswer } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { apiOf, verified } from '../../support/tokens.ts';
import { foreignIssuer, JWT_BEARER, newKeys } from './foreign-issuer.ts';

const CLUSTER = 'https://kubernetes.default.svc.cluster.local';
const POD = 'system:serviceaccount:shop:orders';

/** A cluster's API server, as far as others see it: its keys, and the tokens of its pods. */
class Cluster {
  readonly #issuer = foreignIssuer(CLUSTER, 'https://kubernetes.default.svc', 'RS256');
  readonly #server: Server;
  /** How often its keys were fetched. */
  asked = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      this.asked += 1;
      response.statusCode = request.url === '/openid/v1/jwks' ? 200 : 404;
      response.setHeader('content-type', 'application/jwk-set+json');
      response.end(JSON.stringify({ keys: [this.#issuer.jwk] }));
    });
  }

  /** @returns where its keys are */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => this.#server.once('listening', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/openid/v1/jwks`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** What the kubelet writes into a pod that has a projected token. */
  podToken(audience: string): string {
    const name = { namespace: 'shop', serviceaccount: { name: 'orders', uid: '3f6e2f6c-5b1e-4a1c-9d55-6a6d4b1f2c11' } };
    const pod = { name: 'orders-5d8f7c9b4-x2x7k', uid: '6ad4a7a0-8c0b-4f6e-8d4a-0d5a1f0b9a3e' };
    const iat = Math.floor(Date.now() / 1000);
    return this.#issuer.assertion(
      {
        aud: [audience],
        sub: POD,
        iat,
        nbf: iat,
        exp: iat + 600,
        'kubernetes.io': { ...name, pod, warnafter: iat + 480 },
      },
      { typ: undefined },
    );
  }
}

describe('Assertions that the JWT bearer grant accepts', () => {
  const partner = newKeys('RS256');
  const cluster = new Cluster();
  let server: TestServer;
  let other: TestServer;

  before(async () => {
    const keysOfCluster = await cluster.listen();
    server = await startTestServer({ change: (config) => withIssuers(config, keysOfCluster) });
    other = await startTestServer({ change: (config) => withResource(config, server.issuer) });
  });
  after(async () => {
    await other.close();
    await server.close();
    cluster.close();
  });

  /** Another Latchkey's configuration, whose API this server is. */
  function withResource(config: Config, audience: string): Config {
    const api = { ...config.resources[0], identifier: audience, name: 'Another server', scopes: {} };
    return {
      ...config,
      resources: [...config.resources, api as Config['resources'][number]],
      clients: config.clients.map((client) => ({ ...client, resources: [...client.resources, audience] })),
    };
  }

  function withIssuers(config: Config, keysOfCluster: string): Config {
    const client = (id: string, settings: object = {}) =>
      clientSchema.parse({
        client_id: id,
        client_name: id,
        type: 'machine',
        grant_types: [JWT_BEARER],
        secret: new Secret(`${id}-secret`),
        scopes: ['notes:read'],
        resources: [apiOf(config.issuer)],
        ...settings,
      });
    const policy = { clients: ['portal', 'orders'], resources: [apiOf(config.issuer)], scopes: ['notes:read'] };
    const inline = { ...partner.publicKey.export({ format: 'jwk' }), kid: 'partner-1' };
    const issuers = [
      {
        issuer: 'https://id.partner.example',
        jwks: { keys: [inline] },
        subject: { is: 'account', links: { 'partner-17': 'alice@example.com' } },
      },
      {
        issuer: CLUSTER,
        jwks_uri: keysOfCluster,
        algorithms: ['RS256'],
        claims: { sub: [POD] },
        subject: { is: 'service' },
      },
    ];
    return {
      ...config,
      outgoing: { allow: ['127.0.0.1', 'localhost'] },
      clients: [
        ...config.clients,
        client('portal'),
        client('orders', { secret: undefined, token_endpoint_auth_method: 'none' }),
      ],
      trusted_issuers: issuers.map((issuer) => issuerSchema.parse({ ...policy, ...issuer })),
    };
  }

  const bring = (
    assertion: string,
    basic = 'portal:portal-secret',
    more: Record<string, string> = {},
  ): Promise<TokenAnswer> =>
    tokenRequest(server.issuer, { grant_type: JWT_BEARER, assertion, scope: 'notes:read', ...more }, basic);

  async function taken(answer: Promise<TokenAnswer>): Promise<Record<string, unknown>> {
    const { status, body } = await answer;
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'scope', 'token_type']);
    const { header, claims } = await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    assert.equal(header.typ, 'at+jwt');
    return claims;
  }

  const aliceHere = async (): Promise<string> => {
    const { id_token: idToken = '' } = await tokensFor(server.issuer);
    return (await verified(server.issuer, idToken, 'demo-notes')).claims.sub ?? '';
  };

  it('The JWT bearer grant accepts a pod’s token by the keys that its cluster publishes, without a client secret', async () => {
    const assertion = cluster.podToken(server.issuer);
    const { status, body } = await tokenRequest(server.issuer, {
      grant_type: JWT_BEARER,
      client_id: 'orders',
      assertion,
      scope: 'notes:read',
    });
    assert.equal(status, 200, JSON.stringify(body));
    const { claims } = await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    assert.deepEqual([claims.sub, claims['client_id'], claims['scope']], ['orders', 'orders', 'notes:read']);
  });

  it('The server fetches the cluster’s keys once for the tokens of many pods', async () => {
    const tokens = Array.from({ length: 20 }, () => cluster.podToken(server.issuer));
    await Promise.all(tokens.map((token) => taken(bring(token))));
    assert.equal(cluster.asked, 1);
  });

  it('The JWT bearer grant accepts a token from jsonwebtoken and issues a token for the linked account', async () => {
    const assertion = jsonwebtoken.sign({ department: 'sales' }, partner.privateKey, {
      algorithm: 'RS256',
      keyid: 'partner-1',
      issuer: 'https://id.partner.example',
      subject: 'partner-17',
      audience: server.issuer,
      expiresIn: 120,
      jwtid: crypto.randomUUID(),
    });
    const claims = await taken(bring(assertion));
    assert.deepEqual(
      [claims['sub'], claims['client_id'], claims['scope']],
      [await aliceHere(), 'portal', 'notes:read'],
    );
    assert.equal(claims['grant_id'], undefined);
  });

  describe('Tokens of another Latchkey that was added to the store at run time', () => {
    let aliceThere: string;
    before(async () => {
      const { id_token: idToken = '' } = await tokensFor(other.issuer);
      aliceThere = (await verified(other.issuer, idToken, 'demo-notes')).claims.sub ?? '';
      const records = await recordsOf(server);
      await openIssuers({ records, configured: [] }).save(
        issuerSchema.parse({
          issuer: other.issuer,
          jwks_uri: `${other.issuer}/jwks`,
          token_types: ['at+jwt'],
          claims: { client_id: ['demo-notes'] },
          subject: { is: 'account', links: { [aliceThere]: 'alice@example.com' } },
          clients: ['portal'],
          resources: [apiOf(server.issuer)],
          scopes: ['notes:read'],
          max_lifetime: '1h',
        }),
      );
      await records.close();
    });

    it('The JWT bearer grant accepts an access token of a person for this server', async () => {
      const { access_token: assertion = '' } = await tokensFor(other.issuer, {
        parameters: { resource: server.issuer, scope: 'openid' },
      });
      const claims = await taken(bring(assertion));
      assert.deepEqual([claims['sub'], claims['scope']], [await aliceHere(), 'notes:read']);
      assert.notEqual(claims['sub'], aliceThere);
    });

    it('The JWT bearer grant refuses an access token for another API and an ID token', async () => {
      const tokens = await tokensFor(other.issuer, { parameters: { scope: 'openid notes:read' } });
      for (const assertion of [tokens['access_token'] ?? '', tokens['id_token'] ?? '']) {
        const { status, body } = await bring(assertion);
        assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
      }
    });
  });
});
