import { REDIRECT, register } from '../../registration/registering.ts';
import { X509Certificate } from 'node:crypto';
import { Browser } from '../../support/browser.ts';
import { certificateFor } from '../../support/certificate.ts';
import { newHolder, proof } from '../../support/dpop.ts';
import { ALICE, authorizationRequest } from '../../support/flows.ts';
import { requestObject } from '../../support/signed-request.ts';
import { basic, post, type Probe } from './probe.ts';
import { ALIAS, SERVICE_SECRET, WEB_SECRET } from './probed-clients.ts';
import { key, type ProbedServer } from './probed-server.ts';

/** An authorization request, sent to the page or pushed. @returns what the client is told of it */
async function authorize({ issuer }: ProbedServer, client: string, parameters: Record<string, string>) {
  const request = authorizationRequest(issuer, client, parameters);
  const response = await new Browser().request(request.url);
  const location = new URL(response.headers.get('location') ?? '', issuer);
  return location.href.startsWith(request.redirectUri) ? location : new URL('nowhere:');
}

/** The endpoints that take the parameters of an authorization request, and how the signer asks there. */
const ENDPOINTS: Record<string, (server: ProbedServer, parameters: Record<string, string>) => Promise<unknown>> = {
  authorization: async (server, parameters) => {
    const told = (await authorize(server, 'signer', parameters)).searchParams;
    return [told.get('error'), told.get('error_description')];
  },
  device_authorization: (server, parameters) => push(server, '/device_authorization', parameters),
  pushed_authorization_request: (server, parameters) => {
    const { searchParams } = new URL(authorizationRequest(server.issuer, 'signer').url);
    return push(server, '/par', { ...Object.fromEntries(searchParams), ...parameters });
  },
  backchannel_authentication: (server, parameters) =>
    push(server, '/backchannel_authentication', {
      ...('request' in parameters ? {} : { login_hint: ALICE.email }),
      ...parameters,
    }),
};

async function push(server: ProbedServer, path: string, parameters: Record<string, string>): Promise<unknown> {
  const { body } = await post(server, path, parameters, basic('signer', WEB_SECRET));
  return [body['error'] ?? null, body['error_description'] ?? null];
}

async function signedFor(issuer: string, audience: string): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    aud: audience,
    iat: now,
    nbf: now,
    exp: now + 60,
    jti: crypto.randomUUID(),
    login_hint: ALICE.email,
  };
  const request = authorizationRequest(issuer, 'signer', { scope: 'openid' });
  return requestObject(request, { key: key.privateKey, issuer, claims, header: { typ: 'JWT' } });
}

const endpointProbes = Object.entries(ENDPOINTS).flatMap(([route, ask]): Probe[] => [
  {
    row: `steps of ${route} processRequestObject`,
    async observe(server) {
      const request = await signedFor(server.issuer, 'https://other.example');
      const parameters = route === 'pushed_authorization_request' ? { request } : { request, scope: 'openid' };
      const [error, why] = (await ask(server, route === 'backchannel_authentication' ? { request } : parameters)) as [
        string | null,
        string | null,
      ];
      return [error !== null, why?.includes('the audience (aud) must be')];
    },
    good: [true, true],
    bad: [true, false],
  },
  {
    row: `steps of ${route} checkScope`,
    observe: async (server) => ((await ask(server, { scope: 'openid email' })) as unknown[])[0],
    good: null,
    bad: 'invalid_scope',
  },
]);

/** The query of the registered address, in an error that a response mode brings back. */
const queryProbes = ['query', 'query.jwt', 'jwt'].map((mode): Probe => ({
  row: `response mode ${mode}`,
  async observe(server) {
    const app = `http://localhost:${Number(new URL(server.issuer).port) + 1}/callback?a=b%20c`;
    const told = await authorize(server, 'asking', { redirect_uri: app, prompt: 'none', response_mode: mode });
    return told.protocol === 'nowhere:' ? 'rewritten' : told.search.split('&')[0];
  },
  good: '?a=b%20c',
  bad: 'rewritten',
}));

export const requestProbes: readonly Probe[] = [
  ...endpointProbes,
  ...queryProbes,
  {
    row: 'OIDCContext.prototype urlFor',
    async observe(server) {
      const certificate = certificateFor({ name: [['CN', 'job']] });
      const raw = new X509Certificate(certificate.cert).raw.toString('base64');
      const shown = await proof(await newHolder(), { htm: 'POST', htu: `${ALIAS}/token` });
      const { status, body } = await post(
        server,
        '/token',
        { grant_type: 'client_credentials' },
        {
          ...basic('demo-service', SERVICE_SECRET),
          ...{ 'client-cert': `:${raw}:`, 'x-forwarded-host': new URL(ALIAS).host, dpop: shown },
        },
      );
      return [status, body['error']];
    },
    good: [200, undefined],
    bad: [400, 'invalid_dpop_proof'],
  },
  {
    row: 'OIDCContext.prototype getAccessToken',
    async observe({ issuer }) {
      const { status, headers } = await fetch(`${issuer}/userinfo`, { headers: { authorization: 'Digest made-up' } });
      return [status, (headers.get('www-authenticate') ?? '').includes('error=')];
    },
    good: [401, false],
    bad: [400, true],
  },
  {
    row: 'event authorization.error',
    async observe(server) {
      const { body } = await register(server, { token_endpoint_auth_method: 'none' });
      const parameters = { redirect_uri: REDIRECT, prompt: 'none' };
      return (await authorize(server, String(body['client_id']), parameters)).protocol;
    },
    good: 'nowhere:',
    bad: 'https:',
  },
];
