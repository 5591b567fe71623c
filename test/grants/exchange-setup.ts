import assert from 'node:assert/strict';
import type { ClientConfig, Config } from '../../src/config/schema.ts';
import { Secret } from '../../src/config/secret.ts';
import { Browser } from '../support/browser.ts';
import { ALICE, authorizationRequest, signIn, tokenRequest, tokensFor, type TokenAnswer } from '../support/flows.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf, verified } from '../support/tokens.ts';
import type { JWTPayload } from 'jose';

export const ARCHIVE = 'https://archive.example';
export const VAULT = 'https://vault.example';
export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
export const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
export const secretOf = (clientId: string): string => `the-secret-of-${clientId}`;

/** Two scopes, the second of which is for administrators. */
const SCOPES = {
  'notes:read': { description: 'Read notes', roles: ['user'] },
  'notes:purge': { description: 'Purge notes', roles: ['admin'] },
};

type Policy = Partial<NonNullable<ClientConfig['token_exchange']>> & { clients: string[] };

/** The machine that an API itself is. */
function api(config: Config, clientId: string, policy: Policy | undefined, more: Partial<ClientConfig> = {}) {
  const template = config.clients.find(({ client_id }) => client_id === 'demo-service');
  assert.ok(template !== undefined);
  const tokenExchange: ClientConfig['token_exchange'] = policy && {
    audiences: [],
    resources: [],
    subject_token_types: ['access_token'],
    actor_token_types: [],
    impersonation: false,
    ...policy,
  };
  return {
    ...template,
    client_id: clientId,
    secret: new Secret(secretOf(clientId)),
    grant_types: ['client_credentials' as const, EXCHANGE as NonNullable<ClientConfig['grant_types']>[number]],
    scopes: ['notes:read', 'notes:purge'],
    resources: [apiOf(config.issuer), ARCHIVE, VAULT],
    ...(tokenExchange && { token_exchange: tokenExchange }),
    ...more,
  };
}

/**
 * A chain of APIs: what `demo-notes` sends to the Notes API, `notes-api` exchanges for the Archive, and what comes there
 * `archive-api` for the Vault.
 */
function withApis(config: Config): Config {
  const notes = apiOf(config.issuer);
  const resource = (identifier: string, ttl?: number) => ({
    ...{ identifier, name: identifier, scopes: SCOPES, signing_alg: 'ES256' as const },
    ...(ttl !== undefined && { access_token_ttl: ttl }),
  });
  const both: Policy['subject_token_types'] = ['access_token', 'id_token'];
  const notesApi = { clients: ['demo-notes'], audiences: [notes], resources: [ARCHIVE] };
  return {
    ...config,
    resources: [resource(notes), resource(ARCHIVE, 3600), resource(VAULT)],
    clients: [
      ...config.clients.map((client) => ({ ...client, scopes: [...client.scopes, 'notes:purge'] })),
      api(config, 'notes-api', notesApi),
      api(config, 'archive-api', { clients: ['notes-api', 'archive-api'], audiences: [ARCHIVE], resources: [VAULT, ARCHIVE] }), // prettier-ignore
      api(config, 'mask', { ...notesApi, impersonation: true }),
      api(config, 'desk', { ...notesApi, clients: ['demo-notes', 'demo-service'], actor_token_types: both }),
      api(config, 'reader', { ...notesApi, clients: ['demo-notes', 'demo-web'], subject_token_types: both }, { resources: [ARCHIVE], scopes: ['notes:read'] }), // prettier-ignore
      api(config, 'double-desk', { clients: ['demo-notes', 'notes-api'], audiences: [notes, ARCHIVE], resources: [VAULT], actor_token_types: ['access_token'] }), // prettier-ignore
      api(config, 'machines', { ...notesApi, clients: ['demo-service'] }),
      api(config, 'deputised', { ...notesApi, clients: ['careful'] }),
      api(config, 'stranger', { ...notesApi, clients: ['careful'] }),
      api(config, 'careful', undefined, { grant_types: ['client_credentials'], may_act: 'deputised' }),
      api(config, 'bound', notesApi, { dpop_bound_access_tokens: true }),
    ],
  };
}

export interface ExchangeSetup {
  readonly server: TestServer;
  /** Signed in. */
  readonly alice: Browser;
}

/** @param change goes over the configuration with the chain of APIs */
export async function startExchangeSetup(change = (config: Config): Config => config): Promise<ExchangeSetup> {
  const server = await startTestServer({ change: (config) => change(withApis(config)) });
  const alice = new Browser();
  await signIn(alice, authorizationRequest(server.issuer));
  return { server, alice };
}

/** What an app gets for its person, for the Notes API unless it asks for something else. */
export function appTokens(
  { server, alice }: ExchangeSetup,
  parameters: Record<string, string> = {},
  person = { browser: alice, person: ALICE },
): Promise<Record<string, string>> {
  const scope = 'openid notes:read notes:purge';
  return tokensFor(server.issuer, { ...person, parameters: { scope, ...parameters } });
}

/** A machine's own token for the Notes API. */
export async function machineToken(
  { server }: ExchangeSetup,
  basic = 'demo-service:demo-service-secret',
): Promise<string> {
  const parameters = { grant_type: 'client_credentials', scope: 'notes:read', resource: apiOf(server.issuer) };
  const { body } = await tokenRequest(server.issuer, parameters, basic);
  return String(body['access_token']);
}

/** Hands in an access token, for one for the Archive, unless it says otherwise; an empty text leaves something out. */
export function exchange(
  { server }: ExchangeSetup,
  clientId: string,
  subjectToken: string | undefined,
  parameters: Record<string, string> = {},
): Promise<TokenAnswer> {
  const all = {
    grant_type: EXCHANGE,
    subject_token: subjectToken ?? '',
    subject_token_type: ACCESS_TOKEN,
    resource: ARCHIVE,
    ...parameters,
  };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
  return tokenRequest(server.issuer, given, `${clientId}:${secretOf(clientId)}`);
}

/** What the new token says. */
export async function exchanged(
  setup: ExchangeSetup,
  answer: Promise<TokenAnswer>,
  audience = ARCHIVE,
): Promise<{ token: string; claims: JWTPayload; body: Record<string, unknown> }> {
  const { status, body } = await answer;
  assert.equal(status, 200, JSON.stringify(body));
  const token = String(body['access_token']);
  return { token, body, claims: (await verified(setup.server.issuer, token, audience)).claims };
}
