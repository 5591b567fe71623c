import assert from 'node:assert/strict';
import fc from 'fast-check';
import { calculateJwkThumbprint } from 'jose';
import { newHolder } from '../support/dpop.ts';
import { startApi } from './api.ts';
import type { Api } from './api.ts';
import { startIssuer } from './issuer.ts';
import type { Issuer } from './issuer.ts';

/** What Node lets stand in a header. */
const headerText = fc.string({
  unit: fc.constantFrom(...Array.from(' \t!"%,.:;=@[\\]{}~aAzZ019-_/+\xa0ÿ')),
  maxLength: 60,
});
const scheme = fc.constantFrom('Bearer', 'bearer ', 'DPoP', 'dpop  ', 'Basic', '');
const part = fc.oneof(
  headerText,
  fc.json().map((text) => Buffer.from(text).toString('base64url')),
  fc.constantFrom('e30', 'eyJhbGciOiJFUzI1NiJ9', 'bnVsbA', 'W10'),
);
const tokenLike = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.'));

describe('An API under hostile requests', () => {
  let issuer: Issuer;
  let api: Api;

  before(async () => {
    issuer = await startIssuer();
    api = await startApi(issuer, { dpop: { nonces: true } }, { scope: 'notes:read' });
  });
  after(async () => {
    await api.close();
    await issuer.close();
  });

  it('The API answers every malformed Authorization header with 400 or 401', async () => {
    await fc.assert(
      fc.asyncProperty(scheme, fc.oneof(headerText, tokenLike), headerText, async (name, text, dpop) => {
        const { status, body } = await api.ask({ headers: { authorization: `${name} ${text}`, dpop } });
        assert.ok(status === 400 || status === 401, `${status}: ${body}`);
      }),
      { numRuns: 300 },
    );
  });

  it('The API answers every malformed DPoP header beside a good token with 401', async () => {
    const { jwk } = await newHolder();
    const token = await issuer.token({ cnf: { jkt: await calculateJwkThumbprint(jwk) } });
    const header = (extra: object): string =>
      Buffer.from(JSON.stringify({ typ: 'dpop+jwt', alg: 'ES256', jwk, ...extra })).toString('base64url');
    const forged = fc
      .tuple(fc.object({ maxDepth: 1 }), part, part)
      .map(([extra, ...rest]) => [header(extra), ...rest].join('.'));
    await fc.assert(
      fc.asyncProperty(fc.oneof(headerText, tokenLike, forged), async (dpop) => {
        const { status, body } = await api.ask({ headers: { authorization: `DPoP ${token}`, dpop } });
        assert.equal(status, 401, body);
      }),
      { numRuns: 300 },
    );
  });

  it('The API quickly refuses a header that is designed to be slow to parse', async () => {
    const long = 14_000;
    const texts = [' '.repeat(long), '='.repeat(long), 'a='.repeat(long / 2), '.'.repeat(long), 'A'.repeat(long)];
    for (const text of texts) {
      for (const name of ['Bearer', 'DPoP', 'Bearer ='] as const) {
        const { status } = await api.ask({ headers: { authorization: `${name} ${text}!` } });
        assert.ok(status === 400 || status === 401);
      }
    }
  });
});
