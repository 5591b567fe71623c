import { decodeJwt } from 'jose';
import { Browser } from '../../support/browser.ts';
import { refresh, tokensFor } from '../../support/flows.ts';
import { basic, post, type Probe } from './probe.ts';
import { SERVICE_SECRET, WEB_SECRET } from './probed-clients.ts';
import type { ProbedServer } from './probed-server.ts';

/** JWT access tokens, of a person and of a machine, with who may revoke each. */
const JWTS = {
  AccessToken: async ({ issuer }: ProbedServer) => ({
    token: String((await tokensFor(issuer, { parameters: { scope: 'openid notes:read' } }))['access_token']),
    parameters: { client_id: 'demo-notes' },
    headers: {},
  }),
  ClientCredentials: async (server: ProbedServer) => {
    const headers = basic('demo-service', SERVICE_SECRET);
    const { body } = await post(server, '/token', { grant_type: 'client_credentials' }, headers);
    return { token: String(body['access_token']), parameters: {}, headers };
  },
};

async function introspect(server: ProbedServer, token: string): Promise<unknown> {
  const { body } = await post(server, '/introspect', { token }, basic('demo-web', WEB_SECRET));
  return body['active'] ?? body['error'];
}

const jwtProbes = Object.entries(JWTS).flatMap(([name, issue]): Probe[] => [
  {
    row: `${name} find`,
    observe: async (server) => introspect(server, (await issue(server)).token),
    good: true,
    bad: false,
  },
  {
    row: `${name}.prototype destroy`,
    async observe(server) {
      const { token, parameters, headers } = await issue(server);
      await post(server, '/revoke', { token, ...parameters }, headers);
      return introspect(server, token);
    },
    good: false,
    bad: true,
  },
  {
    row: `${name}.prototype save`,
    async observe(server) {
      server.failWhere((verb, given) => verb === 'enlist' && String(given[0]).startsWith('tokens-of-'));
      const issued = await issue(server).catch(() => undefined);
      server.failWhere(() => false);
      return issued?.token.startsWith('ey') ?? false;
    },
    good: false,
    bad: true,
  },
]);

export const tokenProbes: readonly Probe[] = [
  ...jwtProbes,
  {
    row: 'steps of introspection rejectStructuredTokens',
    observe: async (server) => introspect(server, (await JWTS.ClientCredentials(server)).token),
    good: true,
    bad: 'unsupported_token_type',
  },
  {
    row: 'steps of revocation rejectStructuredTokens',
    async observe(server) {
      const { token, headers } = await JWTS.ClientCredentials(server);
      const { status, body } = await post(server, '/revoke', { token }, headers);
      return [status, body['error']];
    },
    good: [200, undefined],
    bad: [400, 'unsupported_token_type'],
  },
  {
    row: 'IdToken validate',
    async observe(server) {
      const browser = new Browser();
      const { id_token: hint = '' } = await tokensFor(server.issuer, { browser, clientId: 'told' });
      await browser.visit(`${server.issuer}/logout?id_token_hint=${hint}`);
      const logoutToken = server.receiver.received.at(-1)?.body.get('logout_token') ?? '';
      return (await new Browser().visit(`${server.issuer}/logout?id_token_hint=${logoutToken}`)).status;
    },
    good: 400,
    bad: 200,
  },
  {
    row: 'IdToken.prototype set',
    async observe({ issuer }) {
      const { refresh_token: token } = await tokensFor(issuer, { parameters: { scope: 'openid offline_access' } });
      return typeof decodeJwt(String((await refresh(issuer, token)).body['id_token']))['nonce'];
    },
    good: 'undefined',
    bad: 'string',
  },
  {
    row: 'Claims.prototype result',
    observe: async ({ issuer }) =>
      decodeJwt((await tokensFor(issuer, { clientId: 'tagged' }))['id_token'] ?? '')['team'],
    good: 'blue',
    bad: undefined,
  },
];
