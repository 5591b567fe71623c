import assert from 'node:assert/strict';
import { createVerifier } from '../../src/resource-server/resource-server.ts';
import type { Requirements, VerifierOptions } from '../../src/resource-server/resource-server.ts';
import { bearer, startApi } from './api.ts';
import { AUDIENCE, NOW, startIssuer } from './issuer.ts';
import type { Issuer } from './issuer.ts';

const acrValues = ['password', 'two-factor', 'hardware'];

describe('An API that requires a stronger or more recent sign-in (RFC 9470)', () => {
  let issuer: Issuer;

  beforeEach(async () => {
    issuer = await startIssuer();
  });
  afterEach(() => issuer.close());

  async function statusFor(
    requirements: Requirements,
    claims: Record<string, unknown>,
    options: Partial<VerifierOptions> = { acrValues },
  ): Promise<number | undefined> {
    await using api = await startApi(issuer, options, requirements);
    return (await api.ask({ headers: bearer(await issuer.token(claims)) })).status;
  }

  it('The API accepts the required authentication context and every stronger one', async () => {
    const requirements = { acr: 'two-factor' };
    for (const acr of ['two-factor', 'hardware']) assert.equal(await statusFor(requirements, { acr }), 200);
    for (const acr of ['password', 'unknown', undefined, ['two-factor'], 2]) {
      assert.equal(await statusFor(requirements, { acr }), 401);
    }
  });

  it('The API accepts only the exact authentication context if its owner configured no order', async () => {
    assert.equal(await statusFor({ acr: 'two-factor' }, { acr: 'two-factor' }, {}), 200);
    assert.equal(await statusFor({ acr: 'two-factor' }, { acr: 'hardware' }, {}), 401);
  });

  it('The API accepts only a sign-in that is recent enough', async () => {
    const requirements = { maxAge: 300 };
    for (const auth_time of [NOW, NOW - 300, NOW - 305])
      assert.equal(await statusFor(requirements, { auth_time }), 200);
    for (const auth_time of [NOW - 306, 0, undefined, String(NOW), null]) {
      assert.equal(await statusFor(requirements, { auth_time }), 401);
    }
  });

  it('The challenge names all sign-in requirements at once, as in RFC 9470', async () => {
    await using api = await startApi(issuer, { acrValues }, { acr: 'two-factor', maxAge: 300, scope: 'notes:read' });
    const answer = await api.ask({ headers: bearer(await issuer.token({ acr: 'hardware', auth_time: NOW - 400 })) });
    const code = 'insufficient_user_authentication';
    const description = 'A stronger or more recent sign-in is required';
    const described = `resource_metadata="${AUDIENCE}/.well-known/oauth-protected-resource"`;
    const error = `error="${code}", error_description="${description}"`;
    const needed = 'acr_values="two-factor hardware", max_age="300"';
    assert.equal(answer.challenges[0], `Bearer realm="${AUDIENCE}", ${error}, ${needed}, ${described}`);
    assert.equal(answer.status, 401);
    assert.deepEqual(JSON.parse(answer.body), { error: code, error_description: description });
  });

  it('The API reports a missing scope first, because no sign-in would add it', async () => {
    assert.equal(await statusFor({ acr: 'hardware', scope: 'notes:write' }, {}), 403);
  });

  it('A guard cannot be created with an unknown authentication context or an invalid maximum age', () => {
    const verifier = createVerifier({ issuer: 'https://issuer.example', audience: AUDIENCE, acrValues });
    for (const requirements of [{ acr: 'retina' }, { acr: 'a"b' }, { maxAge: -1 }, { maxAge: NaN }]) {
      assert.throws(() => verifier.guard(requirements), TypeError);
    }
  });
});
