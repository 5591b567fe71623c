import { Browser } from '../../support/browser.ts';
import { enterCode, poll, startDevice } from '../../support/device.ts';
import { ALICE, authorizationRequest, refresh, signIn, tokenRequest, tokensFor } from '../../support/flows.ts';
import { basic, post, type Probe } from './probe.ts';
import { CIBA, SERVICE_SECRET, WEB_SECRET } from './probed-clients.ts';
import type { ProbedServer } from './probed-server.ts';

/** The codes that a stranger types before the server slows them, and one more. */
const GUESSES = 6;

/** Signs in to an app of the store, which is then registered for less. @returns the scopes of a refresh */
async function refreshedScopes(server: ProbedServer): Promise<unknown> {
  const notes = server.config.clients.find(({ client_id: id }) => id === 'demo-notes');
  if (notes === undefined) throw new Error('the demo has no notes');
  const stored = { ...notes, client_id: 'shrinking' };
  await server.changeClients((clients) => clients.save(stored));
  const parameters = { scope: 'openid email offline_access' };
  const first = await tokensFor(server.issuer, { clientId: 'shrinking', parameters });
  await server.changeClients((clients) => clients.save({ ...stored, scopes: ['openid', 'offline_access'] }));
  const { body } = await refresh(server.issuer, first['refresh_token'], { client_id: 'shrinking' });
  return body['scope'] ?? body['error'];
}

export const grantProbes: readonly Probe[] = [
  {
    row: 'grant refresh_token',
    async observe({ issuer }) {
      const { refresh_token: token } = await tokensFor(issuer, { parameters: { scope: 'openid offline_access' } });
      const answers = [await refresh(issuer, token), await refresh(issuer, token)];
      return answers.map(({ status }) => status);
    },
    good: [200, 200],
    bad: [500, 500],
  },
  {
    row: 'grant client_credentials',
    async observe(server) {
      const { body } = await post(
        server,
        '/token',
        { grant_type: 'client_credentials' },
        basic('demo-service', SERVICE_SECRET),
      );
      return body['scope'];
    },
    good: 'notes:read',
    bad: undefined,
  },
  {
    row: 'grant urn:ietf:params:oauth:grant-type:device_code',
    async observe({ issuer }) {
      const device = await startDevice(issuer);
      await poll(issuer, device);
      return (await poll(issuer, device)).body['error'];
    },
    good: 'slow_down',
    bad: 'authorization_pending',
  },
  {
    row: 'grant urn:openid:params:grant-type:ciba',
    async observe(server) {
      const ask = { scope: 'openid', login_hint: ALICE.email };
      const { body } = await post(server, '/backchannel_authentication', ask, basic('bank', WEB_SECRET));
      const parameters = { grant_type: CIBA, auth_req_id: String(body['auth_req_id']) };
      await tokenRequest(server.issuer, parameters, `bank:${WEB_SECRET}`);
      return (await tokenRequest(server.issuer, parameters, `bank:${WEB_SECRET}`)).body['error'];
    },
    good: 'slow_down',
    bad: 'authorization_pending',
  },
  {
    row: 'Grant.prototype getOIDCScopeFiltered',
    observe: refreshedScopes,
    good: 'openid offline_access',
    bad: 'openid email offline_access',
  },
  {
    row: 'DeviceCode findByUserCode',
    async observe({ issuer }) {
      const browser = new Browser();
      const statuses = [];
      for (let guess = 0; guess < GUESSES; guess += 1)
        statuses.push((await enterCode(issuer, browser, 'BCDF-GHJK')).status);
      return statuses.at(-1);
    },
    good: 429,
    bad: 200,
  },
  {
    row: 'DeviceCode findByUserCode #2',
    async observe({ issuer }) {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(issuer));
      const page = await enterCode(issuer, browser, (await startDevice(issuer, 'box')).userCode);
      const answers = [await browser.submit(page, { confirm: 'yes' }), await browser.submit(page, { confirm: 'yes' })];
      return answers.map(({ html }) => html.includes('Continue on your device'));
    },
    good: [true, true],
    bad: [true, false],
  },
  {
    row: 'event device_authorization.success',
    observe: async ({ issuer }) => (await startDevice(issuer)).answer['interval'],
    good: 5,
    bad: undefined,
  },
];
