import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { clientSchema } from '../../../src/config/sections/client-schema.ts';
import { issuerSchema } from '../../../src/config/sections/issuer-schema.ts';
import type { Config } from '../../../src/config/schema.ts';
import { Secret } from '../../../src/config/secret.ts';
import type { RunningBackend } from '../../storage/backends.ts';
import { sharedStores } from '../../oidc/server-stores.ts';
import { tokenRequest, type TokenAnswer } from '../../support/flows.ts';
import { freePort } from '../../support/free-port.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { apiOf } from '../../support/tokens.ts';
import { foreignIssuer, JWT_BEARER, type ForeignIssuer } from './foreign-issuer.ts';

const AT_ONCE = 40;

for (const backend of sharedStores) {
  describe(`An assertion on two nodes with ${backend.name}`, () => {
    let store: RunningBackend;
    let nodes: TestServer[];
    let urls: string[];
    let partner: ForeignIssuer;

    before(async () => {
      store = await backend.start();
      const first = await startTestServer({
        store: store.url,
        change: (config) => trusting((partner = foreignIssuer('https://partner.example', config.issuer)), config),
      });
      const port = await freePort();
      nodes = [first];
      const second = await startTestServer({
        store: store.url,
        sameAs: first,
        port,
        change: (config) => ({
          ...trusting(partner, config),
          listen: { ...config.listen, aliases: [`localhost:${port}`] },
        }),
      });
      nodes.push(second);
      urls = [first.issuer, `http://localhost:${port}`];
    });
    after(async () => {
      for (const node of nodes.toReversed()) await node.close();
      await store.stop();
    });

    function trusting({ issuer, jwk }: ForeignIssuer, config: Config): Config {
      const resources = [apiOf(config.issuer)];
      const settings = {
        client_id: 'portal',
        client_name: 'Portal',
        type: 'machine',
        secret: new Secret('portal-secret'),
      };
      return {
        ...config,
        clients: [...config.clients, clientSchema.parse({ ...settings, grant_types: [JWT_BEARER], resources })],
        trusted_issuers: [
          issuerSchema.parse({
            issuer,
            jwks: { keys: [jwk] },
            subject: { is: 'new_account' },
            clients: ['portal'],
            resources,
          }),
        ],
      };
    }

    const bring = (assertion: string, node: number): Promise<TokenAnswer> =>
      tokenRequest(urls[node % 2] ?? '', { grant_type: JWT_BEARER, assertion }, 'portal:portal-secret');
    const person = (name: string, more: object = {}): string =>
      partner.assertion({ sub: name, email: `${name}@partner.example`, email_verified: true, ...more });
    const subOf = ({ body }: TokenAnswer): unknown => decodeJwt(String(body['access_token'])).sub;

    it('An assertion works once, even if many copies arrive at the same moment', async () => {
      const assertion = person('zoe');
      const answers = await Promise.all(Array.from({ length: AT_ONCE }, (_, node) => bring(assertion, node)));
      assert.equal(answers.filter(({ status }) => status === 200).length, 1);
      for (const { status, body } of answers.filter((answer) => answer.status !== 200))
        assert.deepEqual([status, body['error']], [400, 'invalid_grant']);
      assert.equal((await bring(assertion, 1)).status, 400);
    });

    it('A second assertion with the same jti is refused, whatever its other claims', async () => {
      const jti = crypto.randomUUID();
      assert.equal((await bring(person('zoe', { jti }), 0)).status, 200);
      assert.equal((await bring(person('yan', { jti }), 1)).status, 400);
    });

    it('Simultaneous assertions about one person create one account', async () => {
      const answers = await Promise.all(Array.from({ length: 10 }, (_, node) => bring(person('xena'), node)));
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
      assert.equal(new Set(answers.map(subOf)).size, 1);
    });
  });
}
