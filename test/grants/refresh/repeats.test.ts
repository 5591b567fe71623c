import assert from 'node:assert/strict';
import type { Config } from '../../../src/config/schema.ts';
import { withAccount } from '../../oidc/behind-the-server.ts';
import { Browser } from '../../support/browser.ts';
import { selfSignedCertificate, type Certificate } from '../../support/certificate.ts';
import { returnToPresent, travel } from '../../support/clock.ts';
import { newHolder, proof, type Holder } from '../../support/dpop.ts';
import { ALICE, authorizationRequest, signIn } from '../../support/flows.ts';
import { requestOf, sendRaw } from '../../support/raw-http.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { apiOf } from '../../support/tokens.ts';
import { until } from '../../support/until.ts';
import { liveTokens } from './live-tokens.ts';

const basic = (clientId: string): string => `Basic ${Buffer.from(`${clientId}:demo-web-secret`).toString('base64')}`;

/** The photos app refuses every repeat; the web app has a minute. `bound-web` is one whose tokens are bound to certificates. */
const withWindows = (config: Config): Config => ({
  ...config,
  listen: { ...config.listen, trusted_proxies: ['127.0.0.1', '::1'], client_certificates: { header: 'client-cert' } },
  clients: config.clients.flatMap((client) => {
    if (client.client_id === 'demo-photos') return { ...client, refresh_window: 0 };
    if (client.client_id !== 'demo-web') return client;
    const bound = { ...client, client_id: 'bound-web', tls_client_certificate_bound_access_tokens: true };
    return [{ ...client, refresh_window: 60 }, bound];
  }),
});

interface Answer {
  status: number;
  text: string;
  body: Record<string, string>;
}

describe('Repeated refresh requests', () => {
  let server: TestServer;
  let alice: Browser;
  before(async () => {
    server = await startTestServer({ change: withWindows });
  });
  beforeEach(() => {
    alice = new Browser();
  });
  after(() => server.close());
  afterEach(returnToPresent);

  async function post(parameters: Record<string, string>, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(`${server.issuer}/token`, {
      method: 'POST',
      headers,
      body: new URLSearchParams(parameters),
    });
    const text = await response.text();
    return { status: response.status, text, body: JSON.parse(text) as Record<string, string> };
  }

  interface Options {
    clientId?: string;
    /** What the sender proves to hold: a key, or a certificate. */
    holder?: Holder | undefined;
    certificate?: Certificate | undefined;
    /** Goes over the usual parameters. */
    more?: Record<string, string>;
  }

  async function identity(options: Options): Promise<{ by: Record<string, string>; headers: Record<string, string> }> {
    const { clientId = 'demo-notes', holder, certificate } = options;
    const isConfidential = clientId.endsWith('web');
    return {
      by: isConfidential ? {} : { client_id: clientId },
      headers: {
        ...(isConfidential && { authorization: basic(clientId) }),
        ...(holder && { dpop: await proof(holder, { htm: 'POST', htu: `${server.issuer}/token` }) }),
        ...(certificate && { 'client-cert': encodeURIComponent(certificate.cert) }),
      },
    };
  }

  async function firstToken(options: Options = {}): Promise<string> {
    const { clientId = 'demo-notes', more } = options;
    const redirectUri = server.config.clients.find(({ client_id: id }) => id === clientId)?.redirect_uris[0] ?? '';
    const wish = { scope: 'openid notes:read', resource: apiOf(server.issuer), prompt: 'consent' };
    const request = authorizationRequest(server.issuer, clientId, { ...wish, redirect_uri: redirectUri, ...more });
    const callback = await signIn(alice, request, ALICE);
    const { by, headers } = await identity(options);
    const code = { code: callback.searchParams.get('code') ?? '', redirect_uri: redirectUri };
    const exchange = { grant_type: 'authorization_code', code_verifier: request.verifier, ...code, ...by };
    const { status, text, body } = await post(exchange, headers);
    assert.equal(status, 200, text);
    return body['refresh_token'] ?? '';
  }

  async function refresh(token: string, options: Options = {}): Promise<Answer> {
    const { by, headers } = await identity(options);
    return post({ grant_type: 'refresh_token', refresh_token: token, ...by, ...options.more }, headers);
  }

  /** Sends a refresh, and closes the connection before there can be an answer. */
  async function refreshAndHangUp(token: string, options: Options = {}): Promise<void> {
    const { by, headers } = await identity(options);
    const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token, ...by }).toString();
    const { host, port } = new URL(server.issuer);
    const all = {
      host,
      ...headers,
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': body.length,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${String(value)}`);
    await sendRaw(Number(port), requestOf('POST /token HTTP/1.1', lines, body), { patience: 10_000 });
  }

  async function refreshed(token: string, options: Options = {}): Promise<Answer> {
    const answer = await refresh(token, options);
    assert.equal(answer.status, 200, answer.text);
    return answer;
  }

  function assertRefused({ status, body }: Answer, error = 'invalid_grant'): void {
    assert.deepEqual([status, Object.keys(body), body['error']], [400, ['error', 'error_description'], error]);
  }

  const alive = (token: string): Promise<{ refresh: number; access: number }> =>
    liveTokens(server.config.stores.grants, token);

  it('A repeated refresh within the window gets exactly the same answer, including the ID token', async () => {
    const token = await firstToken();
    const first = await refreshed(token);
    assert.ok(first.body['id_token'] !== undefined);
    travel(15);
    assert.equal((await refreshed(token)).text, first.text);
    travel(14);
    assert.equal((await refreshed(token)).text, first.text);
    assert.equal((await alive(token)).refresh, 1);
    await refreshed(first.body['refresh_token'] ?? '');
  });

  it('A repeated refresh after the window is a replay and revokes the refresh token family with its access tokens', async () => {
    const token = await firstToken({ more: { scope: 'openid', resource: '' } });
    const { body } = await refreshed(token);
    assert.deepEqual(await alive(token), { refresh: 1, access: 2 });
    travel(31);
    assertRefused(await refresh(token));
    assertRefused(await refresh(body['refresh_token'] ?? ''));
    const headers = { authorization: `Bearer ${String(body['access_token'])}` };
    assert.equal((await fetch(`${server.issuer}/userinfo`, { headers })).status, 401);
  });

  it('A repeated refresh after the successor was used is a replay and revokes the refresh token family', async () => {
    const token = await firstToken();
    const second = await refreshed(token);
    const third = await refreshed(second.body['refresh_token'] ?? '');
    assertRefused(await refresh(token));
    assert.equal((await alive(token)).refresh, 0);
    assertRefused(await refresh(third.body['refresh_token'] ?? ''));
  });

  it('A repeated refresh from another client is a replay and revokes the refresh token family', async () => {
    const token = await firstToken();
    const { body } = await refreshed(token);
    assertRefused(await refresh(token, { clientId: 'demo-web' }));
    assertRefused(await refresh(body['refresh_token'] ?? ''));
  });

  it('A repeated refresh with another key or none is a replay and revokes the refresh token family', async () => {
    const [holder, thief] = [await newHolder(), await newHolder()];
    for (const clientId of ['demo-notes', 'demo-web']) {
      for (const other of [{ holder: thief }, {}]) {
        const token = await firstToken({ clientId, holder });
        const { body } = await refreshed(token, { clientId, holder });
        assert.equal(body['token_type'], 'DPoP');
        assertRefused(await refresh(token, { clientId, ...other }));
        assertRefused(await refresh(body['refresh_token'] ?? '', { clientId, holder }));
      }
    }
  });

  it('A repeated refresh with another certificate or none is a replay and revokes the refresh token family', async () => {
    const [own, stolen] = [selfSignedCertificate(), selfSignedCertificate()];
    for (const other of [stolen, undefined]) {
      const by = { clientId: 'bound-web', certificate: own };
      const token = await firstToken(by);
      const first = await refreshed(token, by);
      assert.equal((await refreshed(token, by)).text, first.text);
      assertRefused(await refresh(token, { ...by, certificate: other }));
      assertRefused(await refresh(first.body['refresh_token'] ?? '', by));
    }
  });

  it('A repeated refresh with the same key gets the same answer, but each DPoP proof works once', async () => {
    const holder = await newHolder();
    const token = await firstToken({ holder });
    const first = await refreshed(token, { holder });
    const parameters = { grant_type: 'refresh_token', refresh_token: token, client_id: 'demo-notes' };
    const { headers: once } = await identity({ holder });
    assert.equal((await post(parameters, once)).text, first.text);
    assertRefused(await post(parameters, once));
    assert.equal((await refreshed(token, { holder })).text, first.text);
  });

  it('A repeated refresh gets the same answer whatever the order of its scopes', async () => {
    const token = await firstToken({ more: { scope: 'openid profile notes:read' } });
    const first = await refreshed(token, { more: { scope: 'profile notes:read openid' } });
    assert.equal((await refreshed(token, { more: { scope: 'openid profile notes:read profile' } })).text, first.text);
  });

  it('A repeated refresh for another scope or resource is refused and changes nothing', async () => {
    const token = await firstToken();
    const first = await refreshed(token);
    for (const more of [{ scope: 'openid' }, { resource: apiOf(server.issuer) }]) {
      assertRefused(await refresh(token, { more }));
    }
    assert.equal((await refreshed(token)).text, first.text);
    await refreshed(first.body['refresh_token'] ?? '', { more: { scope: 'openid' } });
  });

  it('A replay revokes the refresh token family even if its sender disconnects before the answer', async () => {
    const holder = await newHolder();
    for (const by of [{ holder }, { clientId: 'demo-photos' }]) {
      const token = await firstToken(by);
      await refreshed(token, by);
      assert.equal((await alive(token)).refresh, 1);
      await refreshAndHangUp(token, { ...by, holder: undefined });
      await until(async () => (await alive(token)).refresh === 0);
    }
  });

  it('A repeated refresh after the window revokes nothing if its sender disconnects before the answer', async () => {
    const token = await firstToken();
    let { body } = await refreshed(token);
    travel(31);
    await refreshAndHangUp(token);
    // A family that the request had ended would not last so long.
    for (let times = 0; times < 10; times += 1) ({ body } = await refreshed(body['refresh_token'] ?? ''));
    assert.equal((await alive(token)).refresh, 1);
  });

  it('A refresh works after a refused request, which used up nothing', async () => {
    const token = await firstToken();
    assertRefused(await refresh(token, { more: { resource: 'https://elsewhere.example' } }), 'invalid_target');
    assert.equal((await alive(token)).refresh, 1);
    travel(60);
    await refreshed(token);
  });

  it('A repeated refresh is refused once the account is disabled, the session has ended or the token was revoked', async () => {
    const disabled = await firstToken();
    await refreshed(disabled);
    await withAccount(server, ALICE.email, (accounts, { id }) => accounts.disable(id));
    assertRefused(await refresh(disabled));
    await withAccount(server, ALICE.email, (accounts, { id }) => accounts.enable(id));
    await refreshed(disabled);

    const { body } = await refreshed(disabled);
    const revocation = new URLSearchParams({ token: body['refresh_token'] ?? '', client_id: 'demo-notes' });
    await fetch(`${server.issuer}/revoke`, { method: 'POST', body: revocation });
    assertRefused(await refresh(disabled));

    const signedOut = await firstToken();
    const { body: last } = await refreshed(signedOut);
    await alice.visit(`${server.issuer}/logout?id_token_hint=${String(last['id_token'])}`);
    assertRefused(await refresh(signedOut));
  });

  it('The revocation of a used refresh token revokes its whole family', async () => {
    const token = await firstToken();
    const { body } = await refreshed(token);
    await fetch(`${server.issuer}/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token, client_id: 'demo-notes' }),
    });
    assertRefused(await refresh(body['refresh_token'] ?? ''));
  });

  it('The window for repeated refreshes is the one that the client configures', async () => {
    const token = await firstToken({ clientId: 'demo-web' });
    const first = await refreshed(token, { clientId: 'demo-web' });
    travel(40);
    assert.equal((await refreshed(token, { clientId: 'demo-web' })).text, first.text);
    travel(21);
    assertRefused(await refresh(token, { clientId: 'demo-web' }));
  });

  it('A client whose window is 0 gets no repeated answers, even for simultaneous requests', async () => {
    const clientId = 'demo-photos';
    const one = await firstToken({ clientId });
    const { body } = await refreshed(one, { clientId });
    assertRefused(await refresh(one, { clientId }));
    assertRefused(await refresh(body['refresh_token'] ?? '', { clientId }));

    const shared = await firstToken({ clientId });
    const answers = await Promise.all([1, 2, 3].map(() => refresh(shared, { clientId })));
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400, 400]);
    const winner = answers.find(({ status }) => status === 200);
    assertRefused(await refresh(winner?.body['refresh_token'] ?? '', { clientId }));
  });
});
