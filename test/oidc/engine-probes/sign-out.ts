import { decodeJwt } from 'jose';
import { Browser } from '../../support/browser.ts';
import { authorizationRequest, refresh, signIn, tokensFor } from '../../support/flows.ts';
import { basic, post, type Probe } from './probe.ts';
import { SERVICE_SECRET } from './probed-clients.ts';

/** The cookie by which a frame sees that the session has changed. */
const BROWSER_STATE = 'latchkey_opbs';

export const signOutProbes: readonly Probe[] = [
  {
    row: 'Session.prototype destroy',
    async observe({ issuer }) {
      const browser = new Browser();
      const before = await tokensFor(issuer, { browser, parameters: { scope: 'openid notes:read' } });
      await browser.visit(`${issuer}/logout?id_token_hint=${String(before['id_token'])}`);
      return (await refresh(issuer, before['refresh_token'])).status;
    },
    good: 400,
    bad: 200,
  },
  {
    row: 'steps of end_session endSessionChecks',
    async observe({ issuer }) {
      const browser = new Browser();
      const [header, claims, signature] = String((await tokensFor(issuer, { browser }))['id_token']).split('.');
      const gone = { ...decodeJwt(`${String(header)}.${String(claims)}.`), aud: 'deleted' };
      const hint = [header, Buffer.from(JSON.stringify(gone)).toString('base64url'), signature].join('.');
      return (await browser.visit(`${issuer}/logout?id_token_hint=${hint}`)).status;
    },
    good: 200,
    bad: 400,
  },
  {
    row: 'steps of end_session_confirm endSession',
    async observe({ issuer }) {
      const browser = new Browser();
      const { refresh_token: token } = await tokensFor(issuer, {
        browser,
        parameters: { scope: 'openid notes:read' },
      });
      const question = await browser.visit(`${issuer}/logout?client_id=demo-notes`);
      await browser.submit(question, {});
      return (await refresh(issuer, token)).status;
    },
    good: 200,
    bad: 400,
  },
  {
    row: 'event end_session.success',
    async observe({ issuer }) {
      const browser = new Browser();
      const { id_token: hint = '' } = await tokensFor(issuer, { browser, clientId: 'framed' });
      return (await browser.visit(`${issuer}/logout?id_token_hint=${hint}`)).html.includes('<iframe');
    },
    good: true,
    bad: false,
  },
  {
    row: 'event end_session.success #2',
    async observe({ issuer }) {
      const browser = new Browser();
      const { id_token: hint = '' } = await tokensFor(issuer, { browser });
      const wasThere = browser.cookies.has(BROWSER_STATE);
      await browser.visit(`${issuer}/logout?id_token_hint=${hint}`);
      return [wasThere, browser.cookies.has(BROWSER_STATE)];
    },
    good: [true, false],
    bad: [true, true],
  },
  {
    row: 'event authorization.error #2',
    async observe({ issuer }) {
      const browser = new Browser();
      await signIn(browser, authorizationRequest(issuer));
      browser.cookies.delete(BROWSER_STATE);
      await browser.request(authorizationRequest(issuer, 'demo-notes', { prompt: 'none', max_age: '-1' }).url);
      return browser.cookies.has(BROWSER_STATE);
    },
    good: true,
    bad: false,
  },
  {
    row: 'event authorization.success',
    async observe({ issuer }) {
      const browser = new Browser();
      return (await signIn(browser, authorizationRequest(issuer))).searchParams.has('session_state');
    },
    good: true,
    bad: false,
  },
  {
    row: 'event server_error',
    async observe(server) {
      server.failWhere((verb) => verb === 'enlist');
      const headers = basic('demo-service', SERVICE_SECRET);
      const { status, body } = await post(server, '/token', { grant_type: 'client_credentials' }, headers);
      server.failWhere(() => false);
      return [status, body['error'], / Request [\w-]+\.$/.test(String(body['error_description']))];
    },
    good: [503, 'temporarily_unavailable', true],
    bad: [500, 'server_error', false],
  },
];
