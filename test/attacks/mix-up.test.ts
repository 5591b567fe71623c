import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import * as oauth from 'oauth4webapi';
import { Browser, formOf } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, signIn } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

describe('Mix-up (RFC 9700 §4.4)', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer({
      change: (config) => ({
        ...config,
        clients: config.clients.map((client) =>
          client.client_id === 'demo-notes'
            ? { ...client, redirect_uris: [...client.redirect_uris, 'https://tools.example/callback/of-the-attacker'] }
            : client,
        ),
      }),
    });
    alice = new Browser();
    await signIn(alice, authorizationRequest(server.issuer));
  });
  after(() => server.close());

  const ask = (parameters: Record<string, string> = {}) =>
    authorizationRequest(server.issuer, 'demo-notes', parameters);

  /** The members of an answer, wherever its mode puts them. */
  async function answerTo(browser: Browser, parameters: Record<string, string>): Promise<Record<string, unknown>> {
    const request = ask(parameters);
    const page = await browser.visit(request.url, {}, request.redirectUri);
    if (page.html !== '') return formOf(page).hidden;
    const { searchParams, hash } = new URL(page.url);
    const plain = Object.fromEntries([...searchParams, ...new URLSearchParams(hash.slice(1))]);
    return 'response' in plain ? decodeJwt(plain['response'] ?? '') : plain;
  }

  const FAULTS: Readonly<Record<string, Record<string, string>>> = {
    login_required: { prompt: 'none', max_age: '0' },
    invalid_request: { code_challenge: '', code_challenge_method: '' },
    invalid_target: { resource: 'https://other.example' },
  };

  for (const mode of ['query', 'fragment', 'form_post', 'jwt', 'fragment.jwt']) {
    it(`Every code and error in response mode ${mode} names its issuer (RFC 9207 §2)`, async () => {
      const good = await answerTo(alice, { response_mode: mode });
      assert.deepEqual([typeof good['code'], good['iss']], ['string', server.issuer]);
      for (const [error, parameters] of Object.entries(FAULTS)) {
        // Whether a fault may be told at all is another matter; where it is told, it is told in this server's name.
        const answer = await answerTo(alice, { response_mode: mode, ...parameters });
        assert.deepEqual([answer['error'], answer['code'], answer['iss']], [error, undefined, server.issuer]);
      }
    });
  }

  it('The error after a cancelled sign-in names its issuer', async () => {
    const request = ask();
    const browser = new Browser();
    const page = await browser.visit(request.url);
    const back = new URL((await browser.visit(`${page.url}/cancel`, {}, request.redirectUri)).url);
    assert.deepEqual([back.searchParams.get('error'), back.searchParams.get('iss')], ['access_denied', server.issuer]);
  });

  it('A standard client that awaits a response from the attacker’s server rejects a response from this one', async () => {
    const callback = await signIn(alice, ask({ state: 'of-the-client' }));
    const of = (issuer: string): oauth.AuthorizationServer => ({
      issuer,
      authorization_response_iss_parameter_supported: true,
    });
    const client = { client_id: 'demo-notes' };
    assert.equal(oauth.validateAuthResponse(of(server.issuer), client, callback, 'of-the-client').has('code'), true);
    assert.throws(() => oauth.validateAuthResponse(of('https://attacker.example'), client, callback, 'of-the-client'));
  });

  describe('Cross-toolkit account takeover (draft-ietf-oauth-security-topics-update)', () => {
    it('A code for one redirect URI of a client cannot be exchanged with another redirect URI of the same client', async () => {
      const attackers = ask({ redirect_uri: 'https://tools.example/callback/of-the-attacker' });
      const honest = ask();
      for (const [sentTo, redeemedAt] of [
        [attackers, honest],
        [honest, attackers],
      ] as const) {
        const callback = await signIn(alice, sentTo);
        const confused = { ...sentTo, redirectUri: redeemedAt.redirectUri };
        const { status, body } = await exchangeCode(server.issuer, confused, callback);
        assert.deepEqual([status, body['error'], body['access_token']], [400, 'invalid_grant', undefined]);
      }
    });
  });
});
