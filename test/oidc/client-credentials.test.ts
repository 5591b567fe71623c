import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { tokenRequest, type TokenAnswer } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

/** A second machine, whose secret has what a URL would trip over. */
const POSTER = { client_id: 'demo-poster', client_secret: 'a:b%c+d e&f' };

function withPoster(config: Config): Config {
  const posters = config.clients
    .filter(({ client_id }) => client_id === 'demo-service')
    .map((client) => ({
      ...client,
      client_id: POSTER.client_id,
      secret: new Secret(POSTER.client_secret),
    }));
  return { ...config, clients: [...config.clients, ...posters] };
}

const BASIC = 'demo-service:demo-service-secret';

describe('Client credentials', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer({ change: withPoster });
  });
  after(() => server.close());

  const ask = (parameters: Record<string, string> = {}, basic?: string): Promise<TokenAnswer> =>
    tokenRequest(server.issuer, { grant_type: 'client_credentials', ...parameters }, basic);

  async function refused(answer: Promise<TokenAnswer>, status: number, error: string): Promise<Response> {
    const { status: actual, body, response } = await answer;
    assert.deepEqual([actual, body['error'], body['access_token']], [status, error, undefined]);
    return response;
  }

  it('A machine receives an access token in its own name, and neither a refresh token nor an ID token', async () => {
    const { status, body, response } = await ask({ scope: 'notes:read' }, BASIC);
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'scope', 'token_type']);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    const { header, claims } = await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    assert.equal(header.typ, 'at+jwt');
    assert.deepEqual(
      [claims.sub, claims['client_id'], claims['scope']],
      ['demo-service', 'demo-service', 'notes:read'],
    );
    for (const claim of ['roles', 'auth_time', 'acr', 'amr', 'sid']) assert.equal(claims[claim], undefined, claim);
  });

  it('A request without a scope receives all scopes that the client has at the API', async () => {
    const { body } = await ask({}, BASIC);
    const { claims } = await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    assert.deepEqual([claims['scope'], body['scope']], ['notes:read', 'notes:read']);
  });

  it('The token endpoint accepts the secret in the header or in the body', async () => {
    const encoded = `${POSTER.client_id}:${encodeURIComponent(POSTER.client_secret)}`;
    assert.equal((await ask(POSTER)).status, 200);
    assert.equal((await ask({}, encoded)).status, 200);
  });

  it('The token endpoint refuses a machine without its secret, and a public client with an invented one', async () => {
    await refused(ask({ client_id: 'demo-service' }), 401, 'invalid_client');
    await refused(ask({ client_id: 'demo-notes', client_secret: 'made-up' }), 401, 'invalid_client');
  });

  it('The token endpoint refuses two authentication methods in one request', async () => {
    await refused(
      ask({ client_id: 'demo-service', client_secret: 'demo-service-secret' }, BASIC),
      400,
      'invalid_request',
    );
  });

  it('The token endpoint gives the same error for a wrong secret, a foreign secret and an unknown client', async () => {
    const answers: unknown[] = [];
    for (const basic of ['demo-service:wrong', 'demo-service:demo-web-secret', 'nobody:demo-service-secret']) {
      const answer = ask({}, basic);
      const response = await refused(answer, 401, 'invalid_client');
      assert.match(response.headers.get('www-authenticate') ?? '', /^Basic /);
      answers.push((await answer).body);
    }
    assert.equal(new Set(answers.map((body) => JSON.stringify(body))).size, 1);
  });

  it('The token endpoint refuses clients that are not registered for this grant type', async () => {
    await refused(ask({ client_id: 'demo-notes' }), 400, 'unauthorized_client');
    await refused(ask({}, 'demo-web:demo-web-secret'), 400, 'unauthorized_client');
  });

  it('The token endpoint refuses an API that the machine may not use', async () => {
    await refused(ask({ resource: 'https://unknown.example' }, BASIC), 400, 'invalid_target');
  });

  it('A machine receives no tokens by any other grant type', async () => {
    const code = { grant_type: 'authorization_code', code: 'x', redirect_uri: 'https://app.example/' };
    await refused(tokenRequest(server.issuer, code, BASIC), 400, 'unauthorized_client');
    const password = { grant_type: 'password', username: 'alice@example.com', password: 'latchkey-demo' };
    await refused(tokenRequest(server.issuer, password, BASIC), 400, 'unsupported_grant_type');
  });
});
