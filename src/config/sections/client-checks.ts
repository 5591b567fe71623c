import { authMethodOf, checkClientAuth } from './client-auth-checks.ts';
import { claimsFitType } from './claims-checks.ts';
import { CIBA_GRANT, DEVICE_GRANT, JWT_BEARER, TOKEN_EXCHANGE, TYPICAL_GRANTS } from './client-schema.ts';
import { checkTokenExchange } from './exchange-checks.ts';
import { clientDetailTypesExist } from './detail-checks.ts';
import { checkClientProfile } from './profile-checks.ts';
import type { Fault } from '../problems.ts';
import { isLoopback, isNativeRedirect, isOfDomain, isPrivateUse, schemeOf } from '../rules.ts';
import type { ClientConfig, Draft, ResourceConfig } from '../schema.ts';
import { sectorIsKnown } from './sector.ts';
import { STANDARD_SCOPES } from './claims-schema.ts';
import { didYouMean } from '../suggest.ts';

type Surroundings = Pick<
  Draft,
  'resources' | 'keys' | 'listen' | 'profile' | 'authorization_details_types' | 'shared_signals' | 'redirect_schemes'
>;
type ClientCheck = (client: ClientConfig, draft: Surroundings) => Fault[];

/** Checks of one client, by itself and against other sections. Paths start at the client. */
const CHECKS: readonly ClientCheck[] = [
  checkClientAuth,
  redirectUrisFitType,
  privateSchemesAreForApps,
  schemesAreKnown,
  nativeAppsAreReached,
  grantTypesFitType,
  pingHasAnEndpoint,
  responseTypesFitType,
  passwordsAreForTheHouse,
  checkTokenExchange,
  resourcesAreRegistered,
  introspectedResourcesExist,
  defaultResourceIsAllowed,
  scopesExist,
  onlyConfidentialClientsIntrospect,
  receiversCanAsk,
  clientDetailTypesExist,
  frontChannelIsItsOwn,
  sectorIsKnown,
  claimsFitType,
  (client, { profile }) => checkClientProfile(client, profile),
];

export function checkClients({ clients, reaches = [], ...draft }: Draft): Fault[] {
  return clients.flatMap((client, index) => {
    const reach = reaches[index];
    const known = reach === undefined ? [] : [...resourcesAreRegistered(reach, draft), ...scopesExist(reach, draft)];
    const faults = client === undefined ? known : checkClient(client, draft);
    return faults.map(({ path, message }) => ({ path: ['clients', index, ...path], message }));
  });
}

/** Checks one client. @returns faults whose paths start at the client */
export function checkClient(client: ClientConfig, draft: Surroundings): Fault[] {
  return CHECKS.flatMap((check) => check(client, draft));
}

/**
 * Refuses client ids that the configuration already has. The server would never find a stored client with such an id.
 */
export function namesAreFree({ clients }: Draft, taken: readonly string[]): Fault[] {
  return clients.flatMap((client, index) =>
    client !== undefined && taken.includes(client.client_id)
      ? [
          {
            path: ['clients', index, 'client_id'],
            message: 'is the id of a client in the configuration: change it there',
          },
        ]
      : [],
  );
}

function redirectUrisFitType(client: ClientConfig): Fault[] {
  const { type, redirect_uris, post_logout_redirect_uris } = client;
  if (type !== 'machine') {
    if (redirect_uris.length > 0 || !usesRedirects(client)) return [];
    return [{ path: ['redirect_uris'], message: `needs at least one address for type ${type}` }];
  }
  const message = 'must be left out for type machine, which does not sign people in';
  return [
    ...(redirect_uris.length > 0 ? [{ path: ['redirect_uris'], message }] : []),
    ...(post_logout_redirect_uris.length > 0 ? [{ path: ['post_logout_redirect_uris'], message }] : []),
  ];
}

/**
 * Tells whether a client needs redirect URIs. A client that signs people in only from another device needs none (RFC
 * 8628 §1).
 */
export function usesRedirects({ type, grant_types }: Pick<ClientConfig, 'type' | 'grant_types'>): boolean {
  return (grant_types ?? TYPICAL_GRANTS[type]).some((name) => name === 'authorization_code');
}

/**
 * Tells whether a client is a native app (RFC 8252). Only its redirect URIs, or the lack of them, show that. Anybody
 * can build an app that passes for this client, so the engine asks the person each time (§8.6).
 */
export function isNativeApp(
  client: Pick<ClientConfig, 'type' | 'grant_types' | 'redirect_uris' | 'post_logout_redirect_uris'>,
): boolean {
  const redirects = [...client.redirect_uris, ...client.post_logout_redirect_uris];
  return client.type === 'spa' && (!usesRedirects(client) || redirects.some(isNativeRedirect));
}

const REDIRECTS = ['redirect_uris', 'post_logout_redirect_uris'] as const;

/**
 * Refuses private-use schemes for confidential clients. Another app can register the same scheme, and only public
 * clients always use PKCE, which protects their codes (RFC 8252 §7.1).
 */
function privateSchemesAreForApps(client: ClientConfig): Fault[] {
  if (client.type === 'spa') return [];
  return REDIRECTS.flatMap((key) =>
    client[key].flatMap((uri, index) =>
      isPrivateUse(uri) ? [{ path: [key, index], message: `must be https for type ${client.type}` }] : [],
    ),
  );
}

/**
 * Requires that the operator lists a private-use scheme that is not a reversed domain, because any app can register it
 * (RFC 8252 §7.1).
 */
function schemesAreKnown(client: ClientConfig, { redirect_schemes: listed }: Surroundings): Fault[] {
  if (listed === undefined) return [];
  const message = `must be https, or a private-use scheme with a dot such as com.example.app:/callback; redirect_schemes lists others`;
  return REDIRECTS.flatMap((key) =>
    client[key].flatMap((uri, index) => (isAnyApps(uri, listed) ? [{ path: [key, index], message }] : [])),
  );
}

/** Tells whether a URI has a private-use scheme that is neither a reversed domain nor in the operator's list. */
export function isAnyApps(uri: string, listed: readonly string[]): boolean {
  return isPrivateUse(uri) && !isOfDomain(uri) && !listed.includes(schemeOf(uri));
}

/**
 * Requires http at 127.0.0.1, [::1] or localhost for a native app's loopback redirect URIs (RFC 8252 §7.2 and §7.3).
 */
function nativeAppsAreReached(client: ClientConfig): Fault[] {
  if (client.type !== 'spa' || !REDIRECTS.some((key) => client[key].some(isNativeRedirect))) return [];
  return REDIRECTS.flatMap((key) =>
    client[key].flatMap((uri, index) => {
      const { protocol, hostname } = new URL(uri);
      const path = [key, index];
      if (protocol === 'https:' && isLoopback(hostname)) return [{ path, message: 'must be http for a native app' }];
      if (protocol !== 'http:' || ['localhost', '127.0.0.1', '[::1]'].includes(hostname)) return [];
      return [{ path, message: 'must be on 127.0.0.1, [::1] or localhost for a native app' }];
    }),
  );
}

/**
 * Refuses grant types that do not fit the client's type. A machine client signs nobody in, and only a client that
 * authenticates may act for itself (RFC 6749 §4.4).
 */
function grantTypesFitType({ type, grant_types: grantTypes = [] }: ClientConfig): Fault[] {
  const refused = {
    spa: ['client_credentials', JWT_BEARER, TOKEN_EXCHANGE, CIBA_GRANT],
    web: [],
    machine: ['authorization_code', 'refresh_token', DEVICE_GRANT, CIBA_GRANT, 'password'],
  }[type];
  return grantTypes.flatMap((name, index) =>
    (refused as readonly string[]).includes(name)
      ? [{ path: ['grant_types', index], message: `must not be ${name} for type ${type}` }]
      : [],
  );
}

/**
 * Refuses CIBA settings without the CIBA grant type. The notification endpoint is required in ping mode, and refused in
 * every other (OpenID Connect CIBA Core 1.0 §4).
 */
function pingHasAnEndpoint(client: ClientConfig): Fault[] {
  const [mode, endpoint] = ['backchannel_token_delivery_mode', 'backchannel_client_notification_endpoint'] as const;
  if (client.grant_types?.includes(CIBA_GRANT) !== true) {
    const settings = [mode, endpoint, 'backchannel_authentication_request_signing_alg' as const].filter(
      (key) => client[key] !== undefined,
    );
    return settings.map((key) => ({ path: [key], message: `is only for clients with the grant type ${CIBA_GRANT}` }));
  }
  const isPinged = client[mode] === 'ping';
  if (isPinged === (client[endpoint] !== undefined)) return [];
  return [{ path: [endpoint], message: isPinged ? `is required if ${mode} is ping` : `is only for ${mode} ping` }];
}

function responseTypesFitType({
  type,
  response_types: types,
  dpop_bound_access_tokens: isBound,
}: ClientConfig): Fault[] {
  const path = ['response_types'];
  if (type === 'machine' && types !== undefined)
    return [{ path, message: 'must be left out for type machine, which does not sign people in' }];
  if (isBound !== true || types?.every((name) => !/\btoken$/.test(name)) !== false) return [];
  return [{ path, message: 'must not return tokens to the browser if dpop_bound_access_tokens is set' }];
}

/** Allows the password grant only to first-party apps, because the app sees the person's password (RFC 6749 §1.3.3). */
function passwordsAreForTheHouse({ first_party: isOurs, grant_types: grantTypes = [] }: ClientConfig): Fault[] {
  const index = grantTypes.indexOf('password');
  if (index === -1 || isOurs) return [];
  return [{ path: ['grant_types', index], message: 'must not be password unless first_party is true' }];
}

type Reach = Pick<ClientConfig, 'scopes' | 'resources'>;

export function resourcesAreRegistered(client: Reach, { resources }: Pick<Draft, 'resources'>): Fault[] {
  const registered = identifiersOf(resources);
  if (registered === undefined) return [];
  return client.resources.flatMap((resource, index) =>
    registered.includes(resource)
      ? []
      : [{ path: ['resources', index], message: `is not under resources${didYouMean(resource, registered)}` }],
  );
}

function defaultResourceIsAllowed({ default_resource, resources }: ClientConfig): Fault[] {
  if (default_resource === undefined || resources.includes(default_resource)) return [];
  return [{ path: ['default_resource'], message: 'must be one of the resources of the client' }];
}

export function scopesExist(client: Reach, { resources }: Pick<Draft, 'resources'>): Fault[] {
  const readable = resources.filter((resource) => resource !== undefined);
  if (readable.length < resources.length) return [];
  const own = readable.filter(({ identifier }) => client.resources.includes(identifier));
  // If a resource is mistyped, accepts the scopes of all resources, so that the typo causes no second fault.
  const isMistyped = own.length < new Set(client.resources).size;
  const known = [...new Set([...STANDARD_SCOPES, ...scopeNames(isMistyped ? readable : own)])];
  return client.scopes.flatMap((scope, index) =>
    known.includes(scope)
      ? []
      : [
          {
            path: ['scopes', index],
            message: `is not a scope of any of its resources${didYouMean(scope, known)}; their scopes are ${known.join(', ')}`,
          },
        ],
  );
}

function scopeNames(resources: readonly ResourceConfig[]): string[] {
  return resources.flatMap(({ scopes }) => Object.keys(scopes));
}

function introspectedResourcesExist({ introspection }: ClientConfig, { resources }: Pick<Draft, 'resources'>): Fault[] {
  const registered = identifiersOf(resources);
  if (typeof introspection === 'boolean' || registered === undefined) return [];
  return introspection.flatMap((resource, index) =>
    registered.includes(resource)
      ? []
      : [{ path: ['introspection', index], message: `is not under resources${didYouMean(resource, registered)}` }],
  );
}

/** Refuses introspection by a client that cannot authenticate, because anybody could pass for it (RFC 7662 §2.1). */
function onlyConfidentialClientsIntrospect(client: ClientConfig): Fault[] {
  if (authMethodOf(client) !== 'none' || client.introspection === false) return [];
  const what = client.type === 'spa' ? 'type spa' : 'token_endpoint_auth_method none';
  const message = `must be left out for ${what}, which cannot authenticate`;
  return [{ path: ['introspection'], message }];
}

/**
 * Requires the client credentials grant for a receiver, which manages its streams with an access token from that grant
 * (CAEP Interoperability Profile 1.0 §2.7).
 */
function receiversCanAsk(client: ClientConfig, { shared_signals: signals }: Surroundings): Fault[] {
  if (client.shared_signals === undefined) return [];
  const path = ['shared_signals'];
  if (signals?.enabled === false) return [{ path, message: 'needs shared_signals.enabled' }];
  if ((client.grant_types ?? TYPICAL_GRANTS[client.type]).some((name) => name === 'client_credentials')) return [];
  return [{ path, message: 'needs the grant type client_credentials' }];
}

/**
 * Returns the identifiers of the resources. Returns `undefined` if a resource is faulty, because its identifier is then
 * unknown.
 */
function identifiersOf(resources: Draft['resources']): string[] | undefined {
  const known = resources.filter((resource) => resource !== undefined);
  return known.length === resources.length ? known.map((resource) => resource.identifier) : undefined;
}

/**
 * Requires that the logout address has the origin of one of the client's redirect URIs (OpenID Connect Front-Channel
 * Logout 1.0 §2).
 */
function frontChannelIsItsOwn({ frontchannel_logout_uri: uri, redirect_uris: redirects }: ClientConfig): Fault[] {
  if (uri === undefined || redirects.some((redirect) => new URL(redirect).origin === new URL(uri).origin)) return [];
  return [
    { path: ['frontchannel_logout_uri'], message: 'must have the scheme, host and port of one of redirect_uris' },
  ];
}
