import assert from 'node:assert/strict';
import type { OutgoingHttpHeaders } from 'node:http';
import { createVerifier, guard } from '../../src/resource-server/resource-server.ts';
import type { Requirements } from '../../src/resource-server/resource-server.ts';
import { bearer, startApi } from './api.ts';
import type { ApiAnswer } from './api.ts';
import { AUDIENCE, startIssuer } from './issuer.ts';
import type { Issuer } from './issuer.ts';

describe('The guard of an API', () => {
  let issuer: Issuer;

  beforeEach(async () => {
    issuer = await startIssuer();
  });
  afterEach(() => issuer.close());

  async function ask(
    requirements: Requirements,
    headers: OutgoingHttpHeaders | string[],
    path = '/',
  ): Promise<ApiAnswer> {
    await using api = await startApi(issuer, {}, requirements);
    return await api.ask({ path, headers });
  }

  const described = `resource_metadata="${AUDIENCE}/.well-known/oauth-protected-resource"`;
  const dpop = `DPoP realm="${AUDIENCE}", algs="ES256 EdDSA Ed25519 PS256 RS256", ${described}`;

  function assertRefused(answer: ApiAnswer, status: number, error: string, description: string, scope = ''): void {
    const parameters = `realm="${AUDIENCE}", error="${error}", error_description="${description}"${scope}, ${described}`;
    assert.deepEqual(answer.challenges, [`Bearer ${parameters}`, ...(status === 401 ? [dpop] : [])]);
    assert.equal(answer.status, status);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.deepEqual(JSON.parse(answer.body), { error, error_description: description });
  }

  it('The guard accepts a good token, whatever the case of the scheme', async () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer  ']) {
      const answer = await ask({}, { authorization: `${scheme} ${await issuer.token()}` });
      assert.deepEqual([answer.status, answer.body], [200, 'for account-1']);
    }
  });

  it('The guard answers a request without a token with a challenge and no error', async () => {
    for (const headers of [{}, { authorization: '' }, { authorization: 'Basic YTpi' }, { authorization: 'Bearerx' }]) {
      const answer = await ask({ scope: 'notes:read' }, headers);
      assert.deepEqual([answer.status, answer.body], [401, '']);
      assert.deepEqual(answer.challenges, [`Bearer realm="${AUDIENCE}", ${described}`, dpop]);
    }
  });

  it('The guard refuses a token in the query, even beside the same token in the header', async () => {
    const token = await issuer.token();
    const told = 'The access token belongs in the Authorization header, not in the query';
    for (const path of [`/?access_token=${token}`, `/?a=1&access%5Ftoken=${token}`, '/?access_token']) {
      assertRefused(await ask({}, {}, path), 400, 'invalid_request', told);
      assertRefused(await ask({}, bearer(token), path), 400, 'invalid_request', told);
    }
  });

  it('The guard refuses two Authorization headers in either order', async () => {
    const good = ['Authorization', `Bearer ${await issuer.token()}`];
    const other = ['authorization', 'Basic YTpi'];
    for (const headers of [
      [...good, ...good],
      [...good, ...other],
      [...other, ...good],
    ]) {
      const answer = await ask({}, ['Host', 'api.example', ...headers]);
      assertRefused(answer, 400, 'invalid_request', 'There is more than one Authorization header');
    }
  });

  it('The guard refuses a malformed Authorization header', async () => {
    const token = await issuer.token();
    const malformed = [
      'Bearer',
      'Bearer a b',
      `Bearer ${token}, Bearer ${token}`,
      `Bearer "${token}"`,
      'Bearer =a',
      'Bearer ü',
    ];
    for (const authorization of malformed) {
      assertRefused(await ask({}, { authorization }), 400, 'invalid_request', 'The Authorization header is malformed');
    }
  });

  it('The guard refuses a bad token with a description that reveals no internals', async () => {
    const expired = await issuer.token({ exp: 1 });
    assertRefused(await ask({}, bearer(expired)), 401, 'invalid_token', 'The access token expired');
    const long = 'A'.repeat(12_000);
    assertRefused(await ask({}, bearer(long)), 401, 'invalid_token', 'The access token is not a signed JWT');
  });

  it('Node refuses an oversized header before the guard sees it', async () => {
    const answer = await ask({}, bearer('A'.repeat(40_000)));
    assert.deepEqual([answer.status, answer.body], [431, '']);
  });

  it('The guard refuses a token that lacks a required scope, and names all of them', async () => {
    const answer = await ask({ scope: 'notes:read notes:write' }, bearer(await issuer.token()));
    const scope = ', scope="notes:read notes:write"';
    assertRefused(answer, 403, 'insufficient_scope', 'The access token lacks a scope', scope);
    for (const near of ['notes', 'notes:rea', 'notes:read2', 'NOTES:READ']) {
      assert.equal((await ask({ scope: near }, bearer(await issuer.token()))).status, 403);
    }
    assert.equal((await ask({ scope: 'notes:read openid' }, bearer(await issuer.token()))).status, 200);
  });

  it('The guard refuses an account without the required role and accepts one that has it', async () => {
    const scopes = 'admin openid';
    const answer = await ask({ role: 'admin' }, bearer(await issuer.token({ scope: scopes })));
    assertRefused(answer, 403, 'insufficient_scope', 'The role admin is required');
    const admin = await issuer.token({ roles: ['user', 'admin'] });
    assert.equal((await ask({ role: 'admin' }, bearer(admin))).status, 200);
    assert.equal((await ask({ role: 'admin', scope: 'notes:write' }, bearer(admin))).status, 403);
  });

  it('The guard answers 503 without a challenge while the issuer’s keys are unavailable', async () => {
    issuer.failure = 500;
    const answer = await ask({}, bearer(await issuer.token()));
    assert.deepEqual([answer.status, answer.challenges, answer.headers['retry-after']], [503, [], '5']);
    assert.deepEqual(JSON.parse(answer.body), {
      error: 'temporarily_unavailable',
      error_description: 'The keys of the token issuer cannot be fetched',
    });
  });

  it('A guard cannot be created with a scope or role that would break the header syntax', () => {
    const verifier = createVerifier({ issuer: 'https://issuer.example', audience: AUDIENCE });
    for (const bad of ['a"b', 'a\r\nb', 'a\\b', '', 'ü']) {
      assert.throws(() => guard(verifier, { scope: bad }), TypeError);
      assert.throws(() => guard(verifier, { role: bad }), TypeError);
    }
  });
});
