import assert from 'node:assert/strict';
import { createTestIssuer } from '../../src/resource-server/testing.ts';
import type { TestIssuer } from '../../src/resource-server/testing.ts';
import { bearer, startApi } from './api.ts';
import type { Api } from './api.ts';
import { AUDIENCE } from './issuer.ts';
import { MachineTime } from '../support/machine-time.ts';
import { until } from '../support/until.ts';

describe('The issuer for tests of an API', () => {
  let issuer: TestIssuer;
  let api: Api;

  beforeEach(async () => {
    issuer = await createTestIssuer({ audience: AUDIENCE });
    const dpop = { nonces: true };
    api = await startApi({ url: issuer.issuer }, { currentDate: () => new Date(), dpop }, { scope: 'notes:read' });
  });
  afterEach(async () => {
    await api.close();
    await issuer.close();
  });

  const statusOf = async (token: string): Promise<unknown> => (await api.ask({ headers: bearer(token) })).status;

  it('The test issuer mints tokens that the kit accepts and others that it refuses', async () => {
    const good = await issuer.token({ sub: 'alice', scope: 'notes:read', roles: ['admin'] });
    assert.equal((await api.ask({ headers: bearer(good) })).body, 'for alice');
    assert.equal(await statusOf(await issuer.token()), 403);
    assert.equal(await statusOf(await issuer.token({ scope: 'notes:read', exp: 1 })), 401);
    assert.equal(await statusOf(await issuer.token({ scope: 'notes:read', aud: 'https://other.example' })), 401);
  });

  it('The API refuses a token within a second of its revocation, and no other token', async () => {
    const [one, other] = [await issuer.token({ scope: 'notes:read' }), await issuer.token({ scope: 'notes:read' })];
    assert.deepEqual([await statusOf(one), await statusOf(other)], [200, 200]);
    using machine = new MachineTime();
    const revokedAt = performance.now();
    issuer.revoke(one);
    await until(async () => (await statusOf(one)) !== 200);
    assert.ok(performance.now() - revokedAt - machine.lost < 1000);
    assert.deepEqual([await statusOf(one), await statusOf(other)], [401, 200]);
  });

  it('The test issuer can revoke a token that no API has seen yet', async () => {
    const token = await issuer.token({ scope: 'notes:read' });
    issuer.revoke(token);
    assert.equal(await statusOf(token), 401);
    assert.throws(() => issuer.revoke('e30.e30.e30'), Error);
  });

  it('The DPoP client of the test issuer sends proofs with nonces that the API accepts', async () => {
    const client = await issuer.dpopClient();
    const token = await issuer.token({ scope: 'notes:read', cnf: { jkt: client.jkt } });
    const first = await api.ask({ headers: { ...(await client.headers(token, 'GET', `${AUDIENCE}/`)) } });
    const nonce = String(first.headers['dpop-nonce']);
    const second = await api.ask({ headers: { ...(await client.headers(token, 'GET', `${AUDIENCE}/`, nonce)) } });
    assert.deepEqual([first.status, second.status], [401, 200]);
    assert.equal(await statusOf(token), 401);
  });

  it('A closed test issuer leaves no open port', async () => {
    await issuer.close();
    await issuer.close();
    await assert.rejects(fetch(`${issuer.issuer}/jwks`), TypeError);
  });
});
