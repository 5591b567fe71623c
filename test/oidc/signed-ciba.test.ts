import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import type { Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { ALICE } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { clientKey, type ClientKey } from '../support/signed-request.ts';

const CIBA = 'urn:openid:params:grant-type:ciba';
const SECRET = 'the-secret-of-the-bank-that-signs';

describe('Signed CIBA requests (CIBA Core §7.1.1)', () => {
  let server: TestServer;
  let key: ClientKey;
  let other: ClientKey;

  before(async () => {
    [key, other] = [await clientKey(), await clientKey()];
    server = await startTestServer({ change: withBanks });
  });
  after(() => server.close());

  /** One that may sign, and one that must. */
  function withBanks(config: Config): Config {
    const web = config.clients.find(({ client_id: id }) => id === 'demo-web');
    assert.ok(web !== undefined);
    const bank = {
      ...web,
      secret: new Secret(SECRET),
      redirect_uris: [],
      post_logout_redirect_uris: [],
      grant_types: [CIBA] as typeof web.grant_types,
      jwks: key.jwks,
    };
    const strict = { ...bank, client_id: 'strict', backchannel_authentication_request_signing_alg: 'ES256' as const };
    return { ...config, clients: [...config.clients, { ...bank, client_id: 'bank' }, strict] };
  }

  const now = (): number => Math.floor(Date.now() / 1000);

  /** @param claims go over the usual ones; `undefined` leaves one out */
  function signed(claims: Record<string, unknown> = {}, by: ClientKey = key, alg = 'ES256'): Promise<string> {
    const usual = { iss: 'bank', aud: server.issuer, iat: now(), nbf: now(), exp: now() + 60, jti: randomUUID() };
    return new SignJWT({ ...usual, scope: 'openid', login_hint: ALICE.email, ...claims })
      .setProtectedHeader({ alg })
      .sign(by.privateKey);
  }

  async function ask(parameters: Record<string, string>, client = 'bank'): Promise<Record<string, unknown>> {
    const response = await fetch(`${server.issuer}/backchannel_authentication`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${client}:${SECRET}`).toString('base64')}` },
      body: new URLSearchParams(parameters),
    });
    return (await response.json()) as Record<string, unknown>;
  }

  const refused = async (parameters: Record<string, string>, reason: RegExp, client?: string): Promise<void> => {
    const body = await ask(parameters, client);
    assert.deepEqual([body['error'], body['auth_req_id']], ['invalid_request', undefined], JSON.stringify(body));
    assert.match(String(body['error_description']), reason);
  };

  it('The CIBA endpoint accepts a signed request with all required claims', async () => {
    const body = await ask({ request: await signed({ binding_message: 'W4SCT' }) });
    assert.ok(typeof body['auth_req_id'] === 'string', JSON.stringify(body));
  });

  for (const name of ['iat', 'nbf', 'exp', 'jti', 'iss', 'aud']) {
    it(`The CIBA endpoint refuses a signed request without ${name}`, async () => {
      await refused({ request: await signed({ [name]: undefined }) }, /request/i);
    });
  }

  const faulty: Record<string, [claims: () => Record<string, unknown>, reason: RegExp]> = {
    'has expired': [() => ({ exp: now() - 60 }), /./],
    'expires in two hours': [() => ({ exp: now() + 7200 }), /must expire/],
    'is not valid yet': [() => ({ nbf: now() + 120 }), /./],
    'was issued in the future': [() => ({ iat: now() + 120 }), /./],
    'has an empty jti': [() => ({ jti: '' }), /jti/],
    'is for another server': [() => ({ aud: 'https://other.example' }), /the audience \(aud\) must be http:/],
    'is issued by another client': [() => ({ iss: 'strict' }), /./],
    'contains another request': [() => ({ request: 'x' }), /./],
  };
  for (const [what, [claims, reason]] of Object.entries(faulty)) {
    it(`The CIBA endpoint refuses a signed request that ${what}`, async () => {
      await refused({ request: await signed(claims()) }, reason);
    });
  }

  it("The CIBA endpoint refuses a request that is signed with another client's key", async () => {
    await refused({ request: await signed({}, other) }, /./);
  });

  it('A signed CIBA request works once, even in simultaneous requests', async () => {
    const request = await signed();
    const answers = await Promise.all([ask({ request }), ask({ request }), ask({ request })]);
    assert.equal(answers.filter(({ auth_req_id: id }) => id !== undefined).length, 1, JSON.stringify(answers));
    await refused({ request }, /used before/);
  });

  it('The CIBA endpoint refuses parameters beside a signed request', async () => {
    await refused({ request: await signed(), login_hint: 'admin@example.com' }, /login_hint must stand in the signed/);
    await refused({ request: await signed(), scope: 'openid profile' }, /scope must stand in the signed request/);
  });

  it('A CIBA client that registered a signing algorithm must sign with it', async () => {
    await refused({ scope: 'openid', login_hint: ALICE.email }, /Request Object must be used/, 'strict');
    const rsa = await clientKey('RS256');
    await refused({ request: await signed({ iss: 'strict' }, rsa, 'RS256') }, /preregistered alg/, 'strict');
    const body = await ask({ request: await signed({ iss: 'strict' }) }, 'strict');
    assert.ok(typeof body['auth_req_id'] === 'string', JSON.stringify(body));
  });

  it('The metadata lists only asymmetric signing algorithms for CIBA requests', async () => {
    const response = await fetch(`${server.issuer}/.well-known/openid-configuration`);
    const metadata = (await response.json()) as Record<string, string[]>;
    const algorithms = metadata['backchannel_authentication_request_signing_alg_values_supported'] ?? [];
    assert.ok(algorithms.includes('ES256') && algorithms.includes('PS256'), JSON.stringify(algorithms));
    assert.ok(!algorithms.some((alg) => alg === 'none' || alg.startsWith('HS')));
  });
});
