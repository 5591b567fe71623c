import assert from 'node:assert/strict';
import { clientSchema } from '../../src/config/sections/client-schema.ts';
import { tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';

const SERVICE = 'demo-service:demo-service-secret';

describe('A client that poses as an account (RFC 9700 §4.15)', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  it('A client ID that resembles an account ID is refused', async () => {
    const { access_token } = await tokensFor(server.issuer, { parameters: { scope: 'openid notes:read' } });
    const { claims } = await verified(server.issuer, access_token, apiOf(server.issuer));
    const machine = { client_name: 'Alice', type: 'machine' };
    for (const client_id of [claims.sub, 'acc_1', 'ACC_1']) {
      const { success, error } = clientSchema.safeParse({ client_id, ...machine });
      assert.equal(success, false, client_id);
      assert.match(error.message, /because account ids do/);
    }
    assert.equal(clientSchema.safeParse({ client_id: 'account-service', ...machine }).success, true);
  });

  it('The token of a machine client names the client as its subject and has no claims about a person', async () => {
    const { body } = await tokenRequest(server.issuer, { grant_type: 'client_credentials' }, SERVICE);
    const { claims } = await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    assert.deepEqual([claims.sub, claims['client_id']], ['demo-service', 'demo-service']);
    for (const personal of ['auth_time', 'acr', 'amr', 'sid', 'roles', 'email', 'name', 'grant_id'])
      assert.equal(claims[personal], undefined, personal);
  });

  it('A machine client cannot put an account into its token by any parameter', async () => {
    const asked = { scope: 'notes:read', sub: 'alice@example.com', username: 'alice@example.com', login_hint: 'alice' };
    const { body } = await tokenRequest(server.issuer, { grant_type: 'client_credentials', ...asked }, SERVICE);
    const { claims } = await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    assert.equal(claims.sub, 'demo-service');
    const person = await tokenRequest(server.issuer, { grant_type: 'client_credentials', scope: 'openid' }, SERVICE);
    assert.deepEqual([person.body['error'], person.body['id_token']], ['invalid_scope', undefined]);
  });

  it('The userinfo endpoint refuses the token of a machine client', async () => {
    const { body } = await tokenRequest(server.issuer, { grant_type: 'client_credentials' }, SERVICE);
    const answer = await fetch(`${server.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${String(body['access_token'])}` },
    });
    assert.equal(answer.status, 401);
  });
});
