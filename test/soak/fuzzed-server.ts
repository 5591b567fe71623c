/** A test server with everything turned on, in a process of its own, whose log its parent reads. Ends with its parent. */
import type { Config } from '../../src/config/schema.ts';
import { televisions } from '../support/device.ts';
import { startTestServer } from '../support/server.ts';

const CIBA = 'urn:openid:params:grant-type:ciba';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

function withEverything(config: Config): Config {
  const [web] = config.clients.filter(({ client_id }) => client_id === 'demo-web');
  if (web === undefined) throw new Error('the demo has no client with a secret');
  const key = JSON.parse(process.argv[2] ?? '{}') as NonNullable<(typeof web)['jwks']>['keys'][number];
  const asks = { ...web, redirect_uris: [], post_logout_redirect_uris: [] };
  return {
    ...config,
    listen: { ...config.listen, trusted_proxies: ['127.0.0.1', '::1'] },
    // Refusals for want of room would keep the rest of the server from being tried.
    pending_requests: { kib_per_address: 1_000_000, kib_total: 10_000_000 },
    sessions: { ...config.sessions, front_channel_logout: true, session_management: true },
    shared_signals: { ...config.shared_signals, enabled: true },
    deprecated: { password_grant: true, response_types: ['code id_token', 'id_token'] },
    registration: {
      ...config.registration,
      enabled: true,
      initial_access_token: 'none',
      max_per_hour: 1_000_000,
      max_clients: 200,
    },
    client_id_metadata_documents: { ...config.client_id_metadata_documents, enabled: true, allow: ['apps.invalid'] },
    authorization_details_types: [{ type: 'payment', description: 'Pay', fields: {} }],
    clients: [
      ...config.clients,
      ...televisions(config),
      { ...asks, client_id: 'bank', grant_types: [CIBA, 'refresh_token'] },
      { ...asks, client_id: 'till', grant_types: [EXCHANGE], token_exchange: exchangeOf('demo-web') },
      { ...web, client_id: 'signer', jwks: { keys: [key] }, request_object_signing_alg: 'ES256' },
      {
        ...web,
        secret: undefined,
        client_id: 'careful',
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [key] },
        profile: 'fapi2-security',
        dpop_bound_access_tokens: true,
      },
      {
        ...web,
        client_id: 'payer',
        authorization_details_types: ['payment'],
        shared_signals: { events: ['session-revoked'], accounts: 'own' },
      },
    ],
  };
}

function exchangeOf(client: string): NonNullable<Config['clients'][number]['token_exchange']> {
  return {
    clients: [client],
    audiences: [],
    resources: [],
    subject_token_types: ['access_token'],
    actor_token_types: [],
    impersonation: false,
  };
}

const server = await startTestServer({ change: withEverything });
process.once('disconnect', () => void server.close());
const redirectUris = server.config.clients.flatMap((one) => [...one.redirect_uris, ...one.post_logout_redirect_uris]);
process.send?.({ issuer: server.issuer, redirectUris });
