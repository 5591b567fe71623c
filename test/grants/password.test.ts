import assert from 'node:assert/strict';
import { type Client, hashClientSecret } from '../../src/clients/clients.ts';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { keyspace } from '../../src/storage/store.ts';
import { recordsOf, withAccount } from '../oidc/behind-the-server.ts';
import { Browser, formOf } from '../support/browser.ts';
import { newHolder, proof } from '../support/dpop.ts';
import { ADMIN, ALICE, authorizationRequest, refresh, tokenRequest, type TokenAnswer } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

const OLD_APP = 'old-app:the-secret-of-the-old-app';
const clientKey = keyspace<Client>('client');

/** What the demo's web app is, as one of the house that asks for passwords itself; and another, on a phone. */
function withOldApps(config: Config): Config {
  const template = (id: string): ClientConfig => {
    const found = config.clients.find(({ client_id }) => client_id === id);
    assert.ok(found !== undefined);
    return found;
  };
  const secret = new Secret('the-secret-of-the-old-app');
  const grant_types: ClientConfig['grant_types'] = ['password', 'refresh_token', 'authorization_code'];
  return {
    ...config,
    clients: [
      ...config.clients,
      { ...template('demo-web'), client_id: 'old-app', profile: 'legacy', secret, first_party: true, grant_types },
      { ...template('demo-web'), client_id: 'old-job', profile: 'legacy', secret, first_party: true, scopes: ['openid', 'email'], grant_types: ['password', 'authorization_code'] }, // prettier-ignore
      { ...template('demo-notes'), client_id: 'old-phone', profile: 'legacy', grant_types },
    ],
  };
}

describe('The password grant', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withOldApps });
  });
  after(() => server.close());

  function ask(parameters: Record<string, string> = {}, basic: string | undefined = OLD_APP): Promise<TokenAnswer> {
    const person = { username: ALICE.email, password: ALICE.password, scope: 'openid email' };
    return tokenRequest(server.issuer, { grant_type: 'password', ...person, ...parameters }, basic);
  }

  async function refused(answer: Promise<TokenAnswer>, error: string, status = 400): Promise<TokenAnswer> {
    const { body } = await answer;
    assert.deepEqual([(await answer).status, body['error'], body['access_token']], [status, error, undefined]);
    return answer;
  }

  it('The password grant issues the same tokens as the code flow', async () => {
    const { status, body } = await ask({ scope: 'openid email notes:read', resource: apiOf(server.issuer) });
    assert.equal(status, 200, JSON.stringify(body));
    const { claims: person } = await verified(server.issuer, String(body['id_token']), 'old-app');
    const { claims } = await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    assert.deepEqual([person['email'], person['acr'], person['amr']], [ALICE.email, 'aal1', ['pwd']]);
    assert.deepEqual(
      [claims.sub, claims['client_id'], claims['scope'], claims['roles'], claims['auth_time']],
      [person.sub, 'old-app', 'notes:read', ['user'], person['auth_time']],
    );
    const again = await tokenRequest(
      server.issuer,
      { grant_type: 'refresh_token', refresh_token: String(body['refresh_token']) },
      OLD_APP,
    );
    assert.equal(again.status, 200, JSON.stringify(again.body));
    const { claims: later } = await verified(server.issuer, String(again.body['id_token']), 'old-app');
    assert.deepEqual([later.sub, later['auth_time']], [person.sub, person['auth_time']]);
  });

  it('A public first-party client gets DPoP-bound tokens by the password grant for its default API', async () => {
    const dpop = await proof(await newHolder(), { htm: 'POST', htu: `${server.issuer}/token` });
    const response = await fetch(`${server.issuer}/token`, {
      method: 'POST',
      headers: { dpop },
      body: new URLSearchParams({
        ...{ grant_type: 'password', client_id: 'old-phone', scope: 'openid notes:read' },
        ...{ username: ALICE.email, password: ALICE.password },
      }),
    });
    const body = (await response.json()) as Record<string, string>;
    const { claims } = await verified(server.issuer, body['access_token'], apiOf(server.issuer));
    assert.deepEqual([body['token_type'], claims['scope'], typeof claims['cnf']], ['DPoP', 'notes:read', 'object']);
    const stolen = await refresh(server.issuer, body['refresh_token'], { client_id: 'old-phone' });
    assert.equal(stolen.body['error'], 'invalid_grant');
  });

  it('The password grant issues no ID token without openid, and no refresh token to an unregistered client', async () => {
    const { body } = await ask({ scope: 'email' });
    assert.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'refresh_token', 'scope', 'token_type']);
    const job = await ask({}, 'old-job:the-secret-of-the-old-app');
    assert.deepEqual([job.status, job.body['refresh_token']], [200, undefined]);
  });

  it('The password grant refuses an API that the client may not use, and omits an unknown scope', async () => {
    await refused(ask({ resource: 'https://unknown.example' }), 'invalid_target');
    const { body } = await ask({ scope: 'openid made:up' });
    assert.equal(body['scope'], 'openid');
  });

  it('The password grant refuses clients that are unregistered, unauthenticated or not first-party', async () => {
    await refused(ask({}, 'demo-web:demo-web-secret'), 'unauthorized_client');
    const person = { grant_type: 'password', username: ALICE.email, password: ALICE.password };
    await refused(tokenRequest(server.issuer, { ...person, client_id: 'demo-notes' }), 'unauthorized_client');
    await refused(ask({}, 'old-app:wrong'), 'invalid_client', 401);
    const records = await recordsOf(server);
    const theirs = withOldApps(server.config).clients.find(({ client_id }) => client_id === 'old-app');
    assert.ok(theirs !== undefined);
    const { secret: _, ...client } = theirs;
    const secret_hash = hashClientSecret('of-somebody-else', systemRandom);
    await records.set(clientKey('theirs'), { ...client, client_id: 'theirs', secret_hash, first_party: false });
    await records.close();
    await refused(ask({}, 'theirs:of-somebody-else'), 'unauthorized_client');
  });

  it('The password grant gives one answer for a wrong password, an unknown address and a disabled account', async () => {
    await withAccount(server, ADMIN.email, (accounts, { id }) => accounts.disable(id));
    const answers = await Promise.all([
      refused(ask({ password: 'wrong' }), 'invalid_grant'),
      refused(ask({ username: 'nobody@example.com' }), 'invalid_grant'),
      refused(ask({ username: 'not an address' }), 'invalid_grant'),
      refused(ask({ username: ADMIN.email }), 'invalid_grant'),
    ]);
    assert.equal(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1);
    await withAccount(server, ADMIN.email, (accounts, { id }) => accounts.enable(id));
    await refused(ask({ username: '' }), 'invalid_request');
    await refused(ask({ password: '' }), 'invalid_request');
  });

  it('The password grant and the sign-in page share one count of guesses, and the grant sets Retry-After', async () => {
    const username = 'guessed@example.com';
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, index) => ask({ username, password: `wrong ${index}` })),
    );
    const waits = answers.filter(({ status }) => status === 429);
    assert.ok(waits.length >= 22, String(waits.length));
    for (const { body, response } of waits) {
      assert.equal(body['error'], 'temporarily_unavailable');
      assert.ok(Number(response.headers.get('retry-after')) >= 1);
    }
    const browser = new Browser();
    const page = await browser.visit(authorizationRequest(server.issuer).url);
    const { action, hidden } = formOf(page);
    // Three would be free for an address that nobody has guessed at.
    const statuses = await Promise.all(
      [1, 2, 3].map(async (index) => {
        const body = new URLSearchParams({ ...hidden, email: username, password: `wrong ${index}` });
        return (await browser.request(action, { method: 'POST', body })).status;
      }),
    );
    assert.ok(statuses.includes(429), statuses.join());
    assert.equal((await ask()).status, 200);
  });

  it('A request that is refused for its scope does not count as a guess', async () => {
    const guess = (scope: string) =>
      ask({ username: 'faulty@example.com', password: 'wrong', scope }, 'old-job:the-secret-of-the-old-app');
    for (let times = 0; times < 10; times += 1) await refused(guess('openid roles'), 'invalid_scope');
    await refused(guess('openid email'), 'invalid_grant');
  });

  it('The metadata offers the password grant only if a client or the operator enables it', async () => {
    const grants = async ({ issuer }: { issuer: string }): Promise<unknown> =>
      ((await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as Record<string, string[]>)[
        'grant_types_supported'
      ]?.includes('password');
    assert.equal(await grants(server), true);
    await using without = await startTestServer();
    assert.equal(await grants(without), false);
    const deprecated = { password_grant: true, response_types: [] };
    await using byHand = await startTestServer({ change: (config) => ({ ...config, deprecated }) });
    assert.equal(await grants(byHand), true);
  });
});
