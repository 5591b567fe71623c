import assert from 'node:assert/strict';
import fc from 'fast-check';
import { clientSchema } from '../../../src/config/sections/client-schema.ts';
import { issuerSchema } from '../../../src/config/sections/issuer-schema.ts';
import type { Config } from '../../../src/config/schema.ts';
import { Secret } from '../../../src/config/secret.ts';
import { tokenRequest } from '../../support/flows.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { apiOf } from '../../support/tokens.ts';
import { encode, foreignIssuer, JWT_BEARER, type ForeignIssuer } from './foreign-issuer.ts';

const RUNS = { numRuns: 150 };

describe('Arbitrary assertions', function () {
  this.timeout(60_000);
  let server: TestServer;
  let partner: ForeignIssuer;

  before(async () => {
    server = await startTestServer({ change: trusting });
  });
  after(() => server.close());

  function trusting(config: Config): Config {
    partner = foreignIssuer('https://partner.example', config.issuer);
    const resources = [apiOf(config.issuer)];
    const client = { client_id: 'portal', client_name: 'Portal', type: 'machine', secret: new Secret('portal-secret') };
    const issuer = {
      issuer: partner.issuer,
      jwks: { keys: [partner.jwk] },
      token_types: ['JWT', 'oauth-id-jag+jwt'],
      subject: { is: 'new_account', links: { 'their-alice': 'alice@example.com' } },
      clients: ['portal'],
      resources,
    };
    return {
      ...config,
      clients: [...config.clients, clientSchema.parse({ ...client, grant_types: [JWT_BEARER], resources })],
      trusted_issuers: [issuerSchema.parse(issuer)],
    };
  }

  /** @returns the status */
  async function bring(assertion: string): Promise<number> {
    const answer = await tokenRequest(server.issuer, { grant_type: JWT_BEARER, assertion }, 'portal:portal-secret');
    if (answer.status !== 200)
      assert.deepEqual([answer.status, answer.body['error']], [400, 'invalid_grant'], JSON.stringify(answer.body));
    return answer.status;
  }

  const text = fc.string({ minLength: 1, maxLength: 300, unit: 'binary' });

  it('The JWT bearer grant refuses arbitrary text', async () => {
    await fc.assert(
      fc.asyncProperty(text, async (assertion) => assert.equal(await bring(assertion), 400)),
      RUNS,
    );
  });

  it('The JWT bearer grant refuses three parts of arbitrary bytes', async () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((json) => Buffer.from(json)),
    );
    await fc.assert(
      fc.asyncProperty(fc.tuple(part, part, part), async (parts) => {
        const assertion = parts.map((one) => Buffer.from(one).toString('base64url')).join('.');
        assert.equal(await bring(assertion), 400);
      }),
      RUNS,
    );
  });

  it('The JWT bearer grant refuses a good assertion in which one character has changed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.string({ minLength: 1, maxLength: 1 }), async (place, character) => {
        const good = partner.assertion();
        const at = place % good.length;
        const changed = good.slice(0, at) + character + good.slice(at + 1);
        assert.equal(await bring(changed), changed === good ? 200 : 400);
      }),
      RUNS,
    );
  });

  it('The JWT bearer grant answers any signed claims and header with 200 or invalid_grant', async () => {
    const names = fc.constantFrom(
      ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'scope', 'resource', 'cnf', 'email'],
    );
    const headers = fc.constantFrom(...['alg', 'typ', 'kid', 'crit', 'cty', 'b64', 'zip', 'x5t', '__proto__']);
    const claims = fc.dictionary(fc.oneof(names, fc.string()), fc.jsonValue(), { maxKeys: 3 });
    const header = fc.dictionary(headers, fc.jsonValue(), { maxKeys: 2 });
    await fc.assert(
      fc.asyncProperty(claims, header, async (someClaims, someHeader) => {
        await bring(partner.assertion(someClaims, someHeader));
      }),
      RUNS,
    );
  });

  it('The JWT bearer grant refuses JSON that is nested a thousand levels deep', async () => {
    for (const deep of [`${'['.repeat(1000)}${']'.repeat(1000)}`, `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`]) {
      assert.equal(await bring(partner.raw(partner.header(), deep)), 400);
      assert.equal(await bring(`${encode(deep)}.${encode(partner.claims())}.AAAA`), 400);
    }
  });
});
