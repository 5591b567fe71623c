import assert from 'node:assert/strict';
import type { ClientConfig, Config } from '../../../src/config/schema.ts';
import { openToAll } from '../../registration/registering.ts';
import { DEVICE_GRANT, televisions } from '../../support/device.ts';
import type { ClientKey } from '../../support/signed-request.ts';
import type { LogoutReceiver } from '../logout-receiver.ts';

export const ALIAS = 'https://mtls.login.example';
export const CIBA = 'urn:openid:params:grant-type:ciba';
export const WEB_SECRET = 'demo-web-secret';
export const SERVICE_SECRET = 'demo-service-secret';

interface Outside {
  receiver: Pick<LogoutReceiver, 'uri' | 'host'>;
  ca: string;
  keysUri: string;
  pingUri: string;
  key: ClientKey;
}

/** The demo with clients for every row of the table; each is a copy of one of the demo's, and differs in one thing. */
export function withProbedClients(config: Config, outside: Outside): Config {
  return {
    ...openToAll()(config),
    listen: {
      ...config.listen,
      aliases: [],
      trusted_proxies: ['127.0.0.1', '::1'],
      client_certificates: { header: 'client-cert', url: ALIAS, ca: outside.ca },
    },
    sessions: { ...config.sessions, front_channel_logout: true, session_management: true },
    outgoing: {
      ...config.outgoing,
      allow: [outside.receiver.host, new URL(outside.keysUri).host, new URL(outside.pingUri).host],
    },
    clients: [...config.clients, ...televisions(config), ...copies(config, outside)],
  };
}

function copies({ clients, issuer }: Config, { receiver, keysUri, pingUri, key }: Outside): ClientConfig[] {
  const [notes, web, service] = ['demo-notes', 'demo-web', 'demo-service'].map((id) =>
    clients.find(({ client_id }) => client_id === id),
  );
  assert.ok(notes !== undefined && web !== undefined && service !== undefined);
  const app = `http://localhost:${Number(new URL(issuer).port) + 1}`;
  const nowhere = { redirect_uris: [], post_logout_redirect_uris: [] };
  const ping = { backchannel_token_delivery_mode: 'ping', backchannel_client_notification_endpoint: pingUri } as const;
  const keyed = { secret: undefined, token_endpoint_auth_method: 'private_key_jwt' } as const;
  const { default_resource: _none, ...withoutApi } = service;
  return [
    { ...notes, client_id: 'told', backchannel_logout_uri: receiver.uri },
    { ...notes, client_id: 'framed', frontchannel_logout_uri: `${app}/logged-out` },
    { ...notes, client_id: 'tagged', claims: { team: { value: 'blue' } } },
    { ...notes, client_id: 'asking', redirect_uris: [`${app}/callback?a=b%20c`] },
    { ...notes, client_id: 'narrow', scopes: ['openid', 'notes:read', 'offline_access'] },
    { ...withoutApi, client_id: 'scopeless', scopes: [], resources: [] },
    { ...service, client_id: 'gone' },
    { ...omitSecret(service), ...keyed, client_id: 'keyed', jwks: key.jwks },
    { ...omitSecret(service), ...keyed, client_id: 'fetched', jwks_uri: keysUri },
    { ...web, ...nowhere, client_id: 'bank', grant_types: [CIBA] },
    { ...web, ...nowhere, ...ping, client_id: 'till', grant_types: [CIBA] },
    {
      ...web,
      client_id: 'signer',
      redirect_uris: [`${app}/callback`],
      grant_types: ['authorization_code', CIBA, DEVICE_GRANT],
      scopes: ['openid', 'notes:read', 'offline_access'],
      jwks: key.jwks,
    },
  ].map(
    (client) => Object.fromEntries(Object.entries(client).filter(([, value]) => value !== undefined)) as ClientConfig,
  );
}

function omitSecret({ secret: _secret, ...client }: ClientConfig): ClientConfig {
  return client;
}
