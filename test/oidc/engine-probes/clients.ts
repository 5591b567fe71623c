import { decodeJwt, SignJWT } from 'jose';
import { REDIRECT, register } from '../../registration/registering.ts';
import { Browser } from '../../support/browser.ts';
import { ALICE, answerAtOnce, authorizationRequest, signIn, tokensFor } from '../../support/flows.ts';
import { basic, post, type Probe } from './probe.ts';
import { SERVICE_SECRET, WEB_SECRET } from './probed-clients.ts';
import { key, type ProbedServer } from './probed-server.ts';

/** A token request of a machine. @returns the status and the error */
async function machine(server: ProbedServer, client: string, parameters: Record<string, string> = {}) {
  const given = { grant_type: 'client_credentials', ...parameters };
  const { status, body } = await post(server, '/token', given, basic(client, SERVICE_SECRET));
  return [status, body['error']];
}

/** A token request of a client that signs. */
async function signing({ issuer }: ProbedServer, client: string, audience = issuer): Promise<unknown> {
  const assertion = await new SignJWT({ iss: client, sub: client, jti: crypto.randomUUID(), aud: audience })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuedAt()
    .setExpirationTime('1 min')
    .sign(key.privateKey);
  const { status, body } = await post({ issuer }, '/token', {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
  });
  return [status, body['error']];
}

/** A person allows what the till asks. @returns the status of the page */
async function approve(server: ProbedServer): Promise<number> {
  const browser = new Browser();
  await signIn(browser, authorizationRequest(server.issuer));
  const ask = { scope: 'openid', login_hint: ALICE.email, client_notification_token: 'told-by-this-token' };
  await post(server, '/backchannel_authentication', ask, basic('till', WEB_SECRET));
  const page = await browser.submit(await browser.visit(`${server.issuer}/`), { decision: 'allow' });
  return page.status;
}

/** Somebody signs in to an app and out of everything. */
async function signOutOf(server: ProbedServer, clientId: string): Promise<void> {
  const browser = new Browser();
  const { id_token: hint = '' } = await tokensFor(server.issuer, { browser, clientId });
  await browser.visit(`${server.issuer}/logout?id_token_hint=${hint}`);
}

/** The endpoints at which clients authenticate, by their routes. */
const AUTHENTICATED: Readonly<Record<string, string>> = {
  token: '/token',
  introspection: '/introspect',
  revocation: '/revoke',
  device_authorization: '/device_authorization',
  pushed_authorization_request: '/par',
  backchannel_authentication: '/backchannel_authentication',
};

const authenticationProbes = Object.entries(AUTHENTICATED).map(([route, path]): Probe => ({
  row: `steps of ${route} authenticateClient`,
  observe: async (server) => (await post(server, path, { token: 'made-up' })).body['error'],
  good: 'invalid_client',
  bad: 'invalid_request',
}));

export const clientProbes: readonly Probe[] = [
  ...authenticationProbes,
  {
    row: 'Client find',
    async observe(server) {
      await server.changeClients((clients) => clients.disable('gone'));
      return machine(server, 'gone');
    },
    good: [401, 'invalid_client'],
    bad: [200, undefined],
  },
  {
    row: 'Client find #2',
    async observe(server) {
      const notes = server.config.clients.find(({ client_id: id }) => id === 'demo-notes');
      if (notes === undefined) throw new Error('the demo has no notes');
      const stored = { ...notes, client_id: 'spoilt' };
      await server.changeClients((clients) => clients.save(stored));
      const browser = new Browser();
      await tokensFor(server.issuer, { browser, clientId: 'spoilt' });
      await server.changeClients((clients) => clients.save({ ...stored, subject_type: 'none' as 'public' }));
      const question = await browser.visit(`${server.issuer}/logout`);
      return (await browser.submit(question, { logout: 'yes' })).status;
    },
    good: 200,
    bad: 400,
  },
  {
    row: 'Client.prototype compareClientSecret',
    observe: (server) => machine(server, 'demo-service'),
    good: [200, undefined],
    bad: [401, 'invalid_client'],
  },
  {
    row: 'Client.prototype grantTypeAllowed',
    observe: async (server) =>
      (await post(server, '/token', { grant_type: 'client_credentials', client_id: 'demo-notes' })).body['error'],
    good: 'unauthorized_client',
    bad: 'invalid_request',
  },
  {
    row: 'Client.prototype responseTypeAllowed',
    observe: async ({ issuer }) =>
      (await answerAtOnce(new Browser(), authorizationRequest(issuer, 'demo-notes', { response_type: 'none' })))[
        'error'
      ],
    good: 'unauthorized_client',
    bad: 'invalid_request',
  },
  {
    row: 'Client.prototype scope',
    observe: (server) => machine(server, 'scopeless', { scope: 'openid' }),
    good: [400, 'invalid_scope'],
    bad: [200, undefined],
  },
  {
    row: 'Client.prototype includeSid',
    observe: async ({ issuer }) => typeof decodeJwt((await tokensFor(issuer))['id_token'] ?? '')['sid'],
    good: 'string',
    bad: 'undefined',
  },
  {
    row: 'Client.prototype postLogoutRedirectUriAllowed',
    async observe(server) {
      const { body } = await register(server, {
        token_endpoint_auth_method: 'none',
        post_logout_redirect_uris: [REDIRECT],
      });
      const parameters = { client_id: String(body['client_id']), post_logout_redirect_uri: REDIRECT };
      const browser = new Browser();
      const page = await browser.visit(`${server.issuer}/logout?${new URLSearchParams(parameters).toString()}`);
      return new URL((await browser.submit(page, {}, REDIRECT)).url).host === new URL(REDIRECT).host;
    },
    good: false,
    bad: true,
  },
  {
    row: 'Client.prototype backchannelLogout',
    async observe(server) {
      const before = server.receiver.received.length;
      await signOutOf(server, 'told');
      return server.receiver.received.length - before;
    },
    good: 1,
    bad: 0,
  },
  {
    row: 'Client.prototype backchannelLogout #2',
    async observe(server) {
      await signOutOf(server, 'told');
      return server.waitingLogouts();
    },
    good: 0,
    bad: 1,
  },
  {
    row: 'Client.prototype backchannelPing',
    async observe(server) {
      const before = server.pings.length;
      await approve(server);
      return server.pings.length - before;
    },
    good: 1,
    bad: 0,
  },
  {
    row: 'Client.prototype backchannelPing #2',
    async observe(server) {
      server.answerPings(500);
      const status = await approve(server);
      server.answerPings(204);
      return status;
    },
    good: 200,
    bad: 500,
  },
  {
    row: 'ClientKeyStore.prototype refresh',
    observe: (server) => signing(server, 'fetched'),
    good: [200, undefined],
    bad: [401, 'invalid_client'],
  },
  {
    row: 'OIDCContext.prototype clientJwtAuthExpectedAudience',
    observe: (server) => signing(server, 'keyed', `${server.issuer}/token`),
    good: [401, 'invalid_client'],
    bad: [200, undefined],
  },
];
