import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { decodeJwt } from 'jose';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { Browser, formOf, type Page } from '../support/browser.ts';
import { returnToPresent, travel } from '../support/clock.ts';
import {
  ADMIN,
  ALICE,
  authorizationRequest,
  signIn,
  tokenRequest,
  tokensFor,
  type TokenAnswer,
} from '../support/flows.ts';
import { selfSignedCertificate } from '../support/certificate.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';
import { withAccount } from './behind-the-server.ts';

const CIBA = 'urn:openid:params:grant-type:ciba';
const SECRET = 'demo-web-secret';

/** Two apps that ask people from elsewhere: a bank that polls, and a till that is told at a port. */
function withAskers(config: Config, port: number): Config {
  const web = config.clients.find(({ client_id }) => client_id === 'demo-web');
  assert.ok(web !== undefined);
  const [api = ''] = web.resources;
  const asker = { ...web, default_resource: api, redirect_uris: [], post_logout_redirect_uris: [] };
  const pinged: Partial<ClientConfig> = {
    backchannel_token_delivery_mode: 'ping',
    backchannel_client_notification_endpoint: `https://localhost:${port}/ping`,
  };
  return {
    ...config,
    outgoing: { ...config.outgoing, allow: [`localhost:${port}`] },
    clients: [
      ...config.clients,
      { ...asker, client_id: 'bank', client_name: 'The Bank', grant_types: [CIBA, 'refresh_token'] },
      { ...asker, ...pinged, client_id: 'till', client_name: 'The Till', grant_types: [CIBA] },
    ],
  };
}

describe('Client-initiated backchannel authentication (CIBA)', () => {
  let server: TestServer;
  let told: Server;
  let pings: { authorization: string | undefined; body: unknown }[];
  const authorities = getCACertificates('default');

  beforeEach(async () => {
    pings = [];
    const port = await freePort();
    const certificate = selfSignedCertificate();
    setDefaultCACertificates([...authorities, certificate.cert]);
    told = createServer(certificate, (request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        pings.push({ authorization: request.headers.authorization, body: JSON.parse(text) });
        response.writeHead(204).end();
      });
    }).listen(port, 'localhost');
    await once(told, 'listening');
    server = await startTestServer({ change: (config) => withAskers(config, port) });
  });
  afterEach(async () => {
    returnToPresent();
    setDefaultCACertificates(authorities);
    told.close();
    await server.close();
  });

  async function ask(parameters: Record<string, string>, client = 'bank'): Promise<TokenAnswer> {
    const response = await fetch(`${server.issuer}/backchannel_authentication`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${client}:${SECRET}`).toString('base64')}` },
      body: new URLSearchParams({ scope: 'openid profile notes:read', login_hint: ALICE.email, ...parameters }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown>, response };
  }

  /** @returns what the app comes with for the answer */
  async function asked(parameters: Record<string, string> = {}, client = 'bank'): Promise<string> {
    const { status, body } = await ask(parameters, client);
    assert.equal(status, 200, JSON.stringify(body));
    return String(body['auth_req_id']);
  }

  const poll = (id: string, client = 'bank'): Promise<TokenAnswer> =>
    tokenRequest(server.issuer, { grant_type: CIBA, auth_req_id: id }, `${client}:${SECRET}`);

  async function signedIn(person = ALICE): Promise<Browser> {
    const browser = new Browser();
    await signIn(browser, authorizationRequest(server.issuer), person);
    return browser;
  }

  const home = (browser: Browser): Promise<Page> => browser.visit(`${server.issuer}/`);

  /** Answers the only request on the page. */
  async function answer(browser: Browser, decision: 'allow' | 'deny'): Promise<Page> {
    return browser.submit(await home(browser), { decision });
  }

  it("A CIBA client receives tokens after the person's approval, with the acr and amr of the person's session", async () => {
    const browser = await signedIn();
    const { body: begun } = await ask({ binding_message: 'Pay 25.00 – W4SCT' });
    assert.deepEqual([begun['expires_in'], begun['interval']], [600, 5]);
    const id = String(begun['auth_req_id']);
    assert.equal((await poll(id)).body['error'], 'authorization_pending');
    const page = await home(browser);
    for (const text of [/The Bank/, /Pay 25\.00 – W4SCT/, /Read your notes/]) assert.match(page.html, text);
    assert.match((await answer(browser, 'allow')).html, /Access allowed/);
    const { status, body } = await poll(id);
    assert.equal(status, 200, JSON.stringify(body));
    const idToken = decodeJwt(String(body['id_token']));
    assert.deepEqual([idToken['name'], idToken['acr'], idToken['amr']], ['Alice', 'aal1', ['pwd']]);
    assert.equal(typeof idToken['auth_time'], 'number');
    assert.equal(idToken['urn:openid:params:jwt:claim:auth_req_id'], undefined);
    const { claims } = await verified(server.issuer, String(body['access_token']), apiOf(server.issuer));
    assert.deepEqual([claims['client_id'], claims['scope']], ['bank', 'notes:read']);
    assert.doesNotMatch((await home(browser)).html, /The Bank/);
  });

  it('The tokens of a CIBA request are issued once, and only to the client that made the request', async () => {
    const browser = await signedIn();
    const id = await asked();
    await answer(browser, 'allow');
    assert.equal((await poll(id, 'till')).body['error'], 'invalid_grant');
    const answers = await Promise.all([poll(id), poll(id), poll(id)]);
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400, 400]);
  });

  it('A CIBA client receives access_denied if the person refuses', async () => {
    const id = await asked();
    assert.match((await answer(await signedIn(), 'deny')).html, /Access denied/);
    const { status, body } = await poll(id);
    assert.deepEqual([status, body['error']], [400, 'access_denied']);
  });

  it('A CIBA client receives slow_down if it polls too often', async () => {
    const id = await asked();
    const errors = [];
    for (const seconds of [0, 1, 5, 15]) {
      travel(seconds);
      errors.push((await poll(id)).body['error']);
    }
    assert.deepEqual(errors, ['authorization_pending', 'slow_down', 'slow_down', 'authorization_pending']);
  });

  it('A CIBA client may request a shorter expiry, after which the request can no longer be answered', async () => {
    const browser = await signedIn();
    const { body } = await ask({ requested_expiry: '30' });
    assert.equal(body['expires_in'], 30);
    assert.equal((await ask({ requested_expiry: '86400' }, 'bank')).body['expires_in'], 600);
    await answer(browser, 'deny');
    travel(31);
    assert.equal((await poll(String(body['auth_req_id']))).body['error'], 'expired_token');
    travel(600);
    assert.equal((await poll(String(body['auth_req_id']))).body['error'], 'invalid_grant');
  });

  it('The server calls a ping client with its notification token as soon as the person answers', async () => {
    const browser = await signedIn();
    assert.equal((await ask({}, 'till')).body['error'], 'invalid_request');
    const id = await asked({ client_notification_token: 'a-token-of-the-till' }, 'till');
    assert.deepEqual(pings, []);
    await answer(browser, 'allow');
    assert.deepEqual(pings, [{ authorization: 'Bearer a-token-of-the-till', body: { auth_req_id: id } }]);
    assert.equal((await poll(id, 'till')).status, 200);
  });

  it('A ping client still receives its tokens by polling if the ping fails', async () => {
    const browser = await signedIn();
    const id = await asked({ client_notification_token: 'a-token-of-the-till' }, 'till');
    told.close();
    told.closeAllConnections();
    assert.match((await answer(browser, 'allow')).html, /Access allowed/);
    assert.equal((await poll(id, 'till')).status, 200);
  });

  it('A CIBA client names the person by login_hint or by its own ID token, and the server refuses other hints', async () => {
    const browser = await signedIn();
    const id = await asked();
    await answer(browser, 'allow');
    const hint = String((await poll(id)).body['id_token']);
    assert.equal((await ask({ login_hint: decodeJwt(hint).sub ?? '' })).status, 200);
    assert.equal((await ask({ login_hint: '', id_token_hint: hint })).status, 200);
    const { id_token: foreign = '' } = await tokensFor(server.issuer, { clientId: 'demo-notes' });
    assert.equal((await ask({ login_hint: '', id_token_hint: foreign })).body['error'], 'invalid_request');
    for (const [parameters, error] of [
      [{ login_hint: 'nobody@example.com' }, 'unknown_user_id'],
      [{ login_hint: '', login_hint_token: 'x' }, 'invalid_request'],
      [{ login_hint: ALICE.email, id_token_hint: hint }, 'invalid_request'],
      [{ login_hint: '' }, 'invalid_request'],
      [{ binding_message: 'x'.repeat(61) }, 'invalid_binding_message'],
      [{ binding_message: 'Pay\u202e00.1' }, 'invalid_binding_message'],
      [{ binding_message: 'Pay\n1.00' }, 'invalid_binding_message'],
      [{ binding_message: 'Pay\u3164' }, 'invalid_binding_message'],
      [{ binding_message: 'Pay 1\u034F00' }, 'invalid_binding_message'],
      [{ binding_message: 'Pay\u2800' }, 'invalid_binding_message'],
    ] as const)
      assert.equal((await ask(parameters)).body['error'], error, JSON.stringify(parameters));
  });

  it('A client must be registered for CIBA and must authenticate', async () => {
    assert.equal((await ask({}, 'demo-web')).status, 400);
    const response = await fetch(`${server.issuer}/backchannel_authentication`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'bank', scope: 'openid', login_hint: ALICE.email }),
    });
    assert.equal(response.status, 401);
  });

  it('The server limits waiting CIBA requests for a person, and pauses a client after unanswered ones', async () => {
    const browser = await signedIn();
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask({})));
    const statuses = answers.map(({ status }) => status);
    assert.ok(statuses.filter((status) => status === 200).length <= 6, statuses.join());
    assert.ok(statuses.every((status) => [200, 403].includes(status)));
    assert.equal(answers.find(({ status }) => status === 403)?.body['error'], 'access_denied');
    assert.equal((await ask({ login_hint: ADMIN.email })).status, 200);
    assert.equal((await ask({ client_notification_token: 't' }, 'till')).status, 200);
    assert.ok((await home(browser)).html.split('The Bank').length - 1 <= 6);
  });

  it('The limits of CIBA requests follow the configuration of the operator', async () => {
    await using own = await startTestServer({
      change: (config) => ({
        ...withAskers(config, 1),
        ciba: { waiting: 10, unanswered: 2, longest_pause: 60 },
      }),
    });
    const statuses: number[] = [];
    for (let count = 0; count < 4; count += 1) {
      const response = await fetch(`${own.issuer}/backchannel_authentication`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`bank:${SECRET}`).toString('base64')}` },
        body: new URLSearchParams({ scope: 'openid', login_hint: ALICE.email }),
      });
      statuses.push(response.status);
    }
    assert.deepEqual(statuses.slice(0, 2), [200, 200]);
    assert.equal(statuses.at(-1), 403);
  });

  it('Only the requested person can answer a CIBA request', async () => {
    const id = await asked();
    const [alice, admin] = [await signedIn(), await signedIn(ADMIN)];
    const { action, hidden } = formOf(await home(alice));
    assert.doesNotMatch((await home(admin)).html, /The Bank/);
    await asked({ login_hint: ADMIN.email });
    const own = formOf(await home(admin)).hidden;
    for (const [browser, csrf, status] of [
      [admin, own['csrf'], 400],
      [admin, hidden['csrf'], 403],
      [alice, own['csrf'], 403],
      [alice, '', 403],
      [new Browser(), hidden['csrf'], 400],
    ] as const) {
      const body = new URLSearchParams({ csrf: csrf ?? '', decision: 'allow' });
      assert.equal((await browser.request(action, { method: 'POST', body })).status, status);
    }
    assert.equal((await poll(id)).body['error'], 'authorization_pending');
    assert.match((await alice.submit(await home(alice), { decision: 'allow' })).html, /Access allowed/);
  });

  it('The answer applies to the CIBA request that the page showed, not to a later one', async () => {
    const browser = await signedIn();
    const shown = await asked({ binding_message: 'Pay 1.00' });
    const page = await home(browser);
    const since = await asked({ binding_message: 'Pay 1000.00' });
    await browser.submit(page, { decision: 'allow' });
    assert.equal((await poll(shown)).status, 200);
    assert.equal((await poll(since)).body['error'], 'authorization_pending');
  });

  it('Two CIBA requests on one page are answered independently', async () => {
    const ids = [await asked(), await asked()];
    const browser = await signedIn();
    const page = await home(browser);
    const { hidden } = formOf(page);
    const actions = [...page.html.matchAll(/action="(\/approvals\/[^"]*)"/g)].map(([, path = '']) => path);
    assert.equal(actions.length, 2);
    for (const path of actions) {
      const body = new URLSearchParams({ ...hidden, decision: 'deny' });
      assert.equal((await browser.visit(server.issuer + path, { method: 'POST', body })).status, 200);
    }
    const answers = await Promise.all(ids.map((id) => poll(id)));
    assert.deepEqual(
      answers.map(({ body }) => body['error']),
      ['access_denied', 'access_denied'],
    );
  });

  it('Only one of several simultaneous answers to a CIBA request counts', async () => {
    const browser = await signedIn();
    const id = await asked();
    const { action, hidden } = formOf(await home(browser));
    const answers = await Promise.all(
      ['allow', 'deny', 'allow', 'deny'].map(async (decision) => {
        const body = new URLSearchParams({ ...hidden, decision });
        const { status } = await browser.request(action, { method: 'POST', body });
        assert.ok(status === 200 || status === 400, String(status));
        return status === 200 ? [decision] : [];
      }),
    );
    // The same form that is sent twice may get the first one's answer again.
    const counted = [...new Set(answers.flat())];
    assert.equal(counted.length, 1, counted.join());
    const { status, body } = await poll(id);
    assert.deepEqual([status, body['error']], counted[0] === 'allow' ? [200, undefined] : [400, 'access_denied']);
  });

  it('A CIBA client receives no tokens for a disabled account, at any stage of the request', async () => {
    const browser = await signedIn();
    const answered = await asked();
    await answer(browser, 'allow');
    const waiting = await asked();
    const page = await home(browser);
    await withAccount(server, ALICE.email, (accounts, { id }) => accounts.disable(id));
    assert.equal((await ask({})).body['error'], 'unknown_user_id');
    assert.equal((await browser.submit(page, { decision: 'allow' })).status, 400);
    assert.doesNotMatch((await home(browser)).html, /The Bank/);
    assert.equal((await poll(waiting)).body['error'], 'authorization_pending');
    assert.equal((await poll(answered)).body['error'], 'invalid_grant');
  });

  it('The account page shows the binding message as escaped text', async () => {
    const browser = await signedIn();
    await asked({ binding_message: '<b>"Pay" & go</b>' });
    assert.match((await home(browser)).html, /&lt;b&gt;&quot;Pay&quot; &amp; go&lt;\/b&gt;/);
  });
});
