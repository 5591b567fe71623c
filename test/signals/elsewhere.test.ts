import assert from 'node:assert/strict';
import { Browser } from '../support/browser.ts';
import { tokenRequest, tokensFor } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import {
  accountId,
  POLL,
  publish,
  Receiver,
  SESSION_REVOKED,
  signOuts,
  verifySet,
  withSignals,
} from './signals-setup.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const WEB = 'demo-web:demo-web-secret';

describe('A security event token at the server that signed it (RFC 8417 §4)', () => {
  let server: TestServer;
  let set: string;
  before(async () => {
    server = await startTestServer({ change: withSignals() });
    // The app hears of the person once it has something of theirs.
    await tokensFor(server.issuer, { clientId: 'demo-web' });
    const receiver = await Receiver.of(server.issuer, 'watch');
    const stream = await receiver.stream({ delivery: { method: POLL }, events_requested: [SESSION_REVOKED] });
    await publish(server.config, ...signOuts(await accountId(server, 'alice@example.com'), 1));
    const { sets } = await receiver.poll(stream);
    set = Object.values(sets)[0] ?? '';
    await verifySet(server.issuer, set, 'watch');
  });
  after(() => server.close());

  const post = async (path: string, parameters: Record<string, string>): Promise<Record<string, unknown>> => {
    const headers = { authorization: `Basic ${btoa(WEB)}` };
    const response = await fetch(server.issuer + path, {
      method: 'POST',
      headers,
      body: new URLSearchParams(parameters),
    });
    return (await response.json()) as Record<string, unknown>;
  };

  it('No endpoint accepts a security event token as an access token', async () => {
    for (const path of ['/userinfo', '/ssf/streams']) {
      const response = await fetch(server.issuer + path, { headers: { authorization: `Bearer ${set}` } });
      assert.equal(response.status, 401, path);
    }
    assert.deepEqual(await post('/introspect', { token: set }), { active: false });
  });

  it('The token endpoint does not accept a security event token as a client assertion', async () => {
    const parameters = { grant_type: 'client_credentials', client_assertion: set, client_assertion_type: JWT_BEARER };
    const { status, body } = await tokenRequest(server.issuer, { ...parameters, client_id: 'watch' });
    assert.deepEqual([status, body['error'], body['access_token']], [401, 'invalid_client', undefined]);
  });

  it('The logout endpoint does not accept a security event token as an ID token hint', async () => {
    const page = await new Browser().visit(`${server.issuer}/logout?id_token_hint=${set}`);
    assert.equal(page.status, 400);
  });
});
