import { authMethodOf } from '../config/sections/client-auth-checks.ts';
import { isAnyApps, isNativeApp } from '../config/sections/client-checks.ts';
import type { Fault } from '../config/problems.ts';
import { usualAlgorithm } from '../config/sections/profiles.ts';
import type { ClientConfig, Config } from '../config/schema.ts';
import { Secret } from '../config/secret.ts';
import { validateClient, type Validated } from '../config/validate.ts';
import { hasHiddenCharacters } from '../lib/hidden-characters.ts';
import type { Client } from './clients.ts';

/** Client metadata as a client submits it (RFC 7591 §2): any JSON object. */
export type Metadata = Readonly<Record<string, unknown>>;

/** The most access that a self-registered client may have. */
export type Reach = Pick<
  Config['registration'],
  'scopes' | 'resources' | 'grant_types' | 'response_types' | 'token_endpoint_auth_methods'
>;

/** Metadata that the server stores unchanged, once it has passed the rules of the configuration. */
const TAKEN = [
  'redirect_uris',
  'post_logout_redirect_uris',
  'jwks',
  'jwks_uri',
  'dpop_bound_access_tokens',
  'require_pushed_authorization_requests',
  'backchannel_logout_uri',
  'frontchannel_logout_uri',
  'frontchannel_logout_session_required',
  'tls_client_certificate_bound_access_tokens',
  'subject_type',
  'sector_identifier_uri',
  'initiate_login_uri',
  'default_max_age',
  'token_endpoint_auth_signing_alg',
  'request_object_signing_alg',
  'require_signed_request_object',
  'authorization_signed_response_alg',
  'authorization_encrypted_response_alg',
  'authorization_encrypted_response_enc',
  'introspection_signed_response_alg',
  'id_token_encrypted_response_alg',
  'id_token_encrypted_response_enc',
  'userinfo_signed_response_alg',
  'userinfo_encrypted_response_alg',
  'userinfo_encrypted_response_enc',
  'client_uri',
  'logo_uri',
  'policy_uri',
  'tos_uri',
] as const;

/**
 * Members that this server does not support for self-registered clients. It refuses a registration with one of them,
 * because the client would rely on protection that it does not get. It ignores other unknown or descriptive members
 * (RFC 7591 §2).
 */
const NOT_DONE = [
  'request_uris',
  'request_object_encryption_alg',
  'request_object_encryption_enc',
  'introspection_encrypted_response_alg',
  'introspection_encrypted_response_enc',
  'tls_client_auth_subject_dn',
  'tls_client_auth_san_dns',
  'tls_client_auth_san_uri',
  'tls_client_auth_san_ip',
  'tls_client_auth_san_email',
  'authorization_details_types',
  'backchannel_token_delivery_mode',
  'backchannel_client_notification_endpoint',
  'backchannel_authentication_request_signing_alg',
  'backchannel_user_code_parameter',
] as const;

/** Settings that have another name in client metadata. */
const NAMES: Record<string, string> = { scopes: 'scope', id_token_signing_alg: 'id_token_signed_response_alg' };

interface Given {
  clientId: string;
  secret: string;
  reach: Reach;
  config: Config;
  /** True for a metadata document, which is for every server; false for a registration at this server. */
  isDocument: boolean;
}

/**
 * Validates a client's metadata like a client in the configuration, within the limits of self-registered clients. Drops
 * scopes and grant types beyond these limits, because RFC 7591 §2 lets the server replace them, and refuses anything
 * else. @param secret becomes the client's secret if its authentication method needs one @returns faults whose paths
 * start at the metadata
 */
export function selfDescribedClient(metadata: Metadata, given: Given): Validated<ClientConfig> {
  const said = withoutNothings(metadata);
  const faults = [
    ...ownFaults(said, given),
    ...(given.isDocument ? documentFaults(said) : notDoneFaults(said, given.config)),
  ];
  const validated = validateClient(settingsOf(said, given), given.config);
  if (!('faults' in validated) && faults.length === 0) return validated;
  return { faults: [...faults, ...('faults' in validated ? validated.faults.map(inTheirWords) : [])] };
}

function settingsOf(said: Metadata, { clientId, secret, reach, config }: Given) {
  const method = methodOf(said);
  return {
    ...Object.fromEntries(TAKEN.filter((name) => said[name] !== undefined).map((name) => [name, said[name]])),
    ...withoutAnyApps(said, config.redirect_schemes),
    client_id: clientId,
    client_name: said['client_name'] ?? 'Unnamed app',
    type: method === 'none' ? 'spa' : isMachine(said) ? 'machine' : 'web',
    token_endpoint_auth_method: method,
    ...((method === 'client_secret_basic' || method === 'client_secret_post') && { secret: new Secret(secret) }),
    grant_types: within(reach.grant_types, grantsOf(said)),
    ...responseTypes(said, reach),
    scopes: within(reach.scopes, scopeList(said['scope']) ?? reach.scopes),
    resources: reach.resources,
    id_token_signing_alg:
      said['id_token_signed_response_alg'] ?? usualAlgorithm(config.keys.algorithms, config.profile),
  };
}

/** Drops redirect URIs whose scheme any app could register, if others remain. The response lists the kept ones (§2). */
function withoutAnyApps(said: Metadata, listed: readonly string[]): Record<string, unknown> {
  const kept = (['redirect_uris', 'post_logout_redirect_uris'] as const).flatMap((name) => {
    const uris: unknown = said[name];
    if (!Array.isArray(uris)) return [];
    const taken = (uris as unknown[]).filter((uri) => typeof uri !== 'string' || !isAnyApps(uri, listed));
    return taken.length === 0 ? [] : [[name, taken] as const];
  });
  return Object.fromEntries(kept);
}

function methodOf(said: Metadata): unknown {
  return said['token_endpoint_auth_method'] ?? 'client_secret_basic';
}

/** Drops null and empty values, which count as omitted (RFC 7592 §2.2). */
function withoutNothings(metadata: Metadata): Metadata {
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== null && value !== ''));
}

function isMachine({ grant_types: grantTypes, redirect_uris: uris }: Metadata): boolean {
  return uris === undefined && Array.isArray(grantTypes) && grantTypes.every((name) => name === 'client_credentials');
}

/**
 * Returns the requested grant types, with `authorization_code` in place of `implicit`. The implicit grant has no
 * request at the token endpoint; the response types decide whether a client may use it.
 */
function grantsOf({ grant_types: asked = ['authorization_code'] }: Metadata): unknown {
  if (!Array.isArray(asked) || !asked.includes('implicit')) return asked;
  return [...(asked as unknown[]).filter((name) => name !== 'implicit'), 'authorization_code'];
}

/**
 * Tells whether the requested response types are allowed. A document describes its client to every server, so one
 * response type that this server supports is enough there.
 */
function typesAreAllowed(asked: unknown, { response_types: allowed }: Reach, isDocument: boolean): boolean {
  if (!Array.isArray(asked) || asked.length === 0) return false;
  const isAllowed = (type: unknown) => allowed.some((one) => one === sorted(type));
  return isDocument ? asked.some(isAllowed) : asked.every(isAllowed);
}

/**
 * Returns the allowed response types among those that the client requests. The code flow is the default and need not be
 * listed.
 */
function responseTypes(said: Metadata, { response_types: allowed }: Reach): { response_types?: string[] } {
  const asked = Array.isArray(said['response_types']) ? said['response_types'].map(sorted) : ['code'];
  const types = allowed.filter((type) => asked.includes(type));
  return isMachine(said) || types.every((type) => type === 'code') ? {} : { response_types: types };
}

/**
 * Sorts the parts of a response type, which come in any order (OAuth 2.0 Multiple Response Type Encoding Practices §3).
 */
function sorted(type: unknown): string {
  return String(type).split(' ').toSorted().join(' ');
}

function scopeList(scope: unknown): unknown {
  return typeof scope === 'string' ? scope.split(' ').filter((name) => name !== '') : scope;
}

/** Keeps the allowed items of a list. Any other value is left for the schema to refuse. */
function within(allowed: readonly string[], asked: unknown): unknown {
  return Array.isArray(asked) ? allowed.filter((name) => asked.includes(name)) : asked;
}

function ownFaults(said: Metadata, { reach, isDocument }: Given): Fault[] {
  const faults: Fault[] = clientNameFaults(said['client_name']);
  const refuse = (name: string, message: string) => faults.push({ path: [name], message });
  if (!(reach.token_endpoint_auth_methods as readonly unknown[]).includes(methodOf(said)))
    refuse('token_endpoint_auth_method', `must be one of ${reach.token_endpoint_auth_methods.join(', ')}`);
  const grantTypes = grantsOf(said);
  const asked = said['response_types'];
  if (Array.isArray(grantTypes) && !grantTypes.some((name) => (reach.grant_types as readonly unknown[]).includes(name)))
    refuse('grant_types', `must have one of ${reach.grant_types.join(', ')}`);
  if (!isMachine(said) && asked !== undefined && !typesAreAllowed(asked, reach, isDocument))
    refuse('response_types', `must be one of ${reach.response_types.join(', ')}`);
  // HS256 signs with the client secret, which the server would have to store in readable form.
  if (said['id_token_signed_response_alg'] === 'HS256')
    refuse('id_token_signed_response_alg', 'must be an algorithm that uses a public key');
  return faults;
}

function notDoneFaults(said: Metadata, { sessions }: Config): Fault[] {
  const faults: Fault[] = NOT_DONE.filter((name) => isSet(said[name])).map((name) => ({
    path: [name],
    message: 'must be left out: this server does not support it for clients that register themselves',
  }));
  const { require_auth_time: authTime, default_acr_values: acr, application_type: type } = said;
  if (authTime !== undefined && typeof authTime !== 'boolean')
    faults.push({ path: ['require_auth_time'], message: 'must be true or false; auth_time is in every ID token' });
  if (acr !== undefined && !(Array.isArray(acr) && acr.every((one) => one === 'aal1')))
    faults.push({ path: ['default_acr_values'], message: 'must be left out or ["aal1"]' });
  if (type !== undefined && type !== 'web' && type !== 'native')
    faults.push({ path: ['application_type'], message: 'must be web or native' });
  if (isSet(said['frontchannel_logout_uri']) && !sessions.front_channel_logout)
    faults.push({
      path: ['frontchannel_logout_uri'],
      message: 'must be left out: front-channel logout is disabled on this server',
    });
  return faults;
}

/**
 * Refuses a sector identifier in a document, because the server would have to check it each time it reads the document.
 */
function documentFaults(said: Metadata): Fault[] {
  if (said['sector_identifier_uri'] === undefined) return [];
  return [{ path: ['sector_identifier_uri'], message: 'must be left out of a metadata document' }];
}

/** Tells whether the value requests anything: libraries send unused members as false or as an empty list. */
function isSet(value: unknown): boolean {
  return value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
}

/** Checks the client's name, which pages show beside the server's own. */
function clientNameFaults(name: unknown): Fault[] {
  if (typeof name !== 'string' || (name.length <= 100 && !hasHiddenCharacters(name))) return [];
  return [{ path: ['client_name'], message: 'must be at most 100 characters long, without hidden characters' }];
}

function inTheirWords({ path: [first = '', ...rest], message }: Fault): Fault {
  return { path: [NAMES[String(first)] ?? first, ...rest], message };
}

function isImplicit(type: string): boolean {
  return type !== 'code';
}

/** Returns a self-registered client's metadata as in RFC 7591 §3.2.1, without secrets. */
export function metadataOf(client: Client): Metadata {
  return {
    client_id: client.client_id,
    client_id_issued_at: client.registration?.issued_at,
    client_name: client.client_name,
    token_endpoint_auth_method: authMethodOf(client),
    grant_types: [
      ...(client.grant_types ?? []),
      ...(client.response_types?.some(isImplicit) === true ? ['implicit'] : []),
    ],
    response_types:
      client.grant_types?.includes('authorization_code') === true ? (client.response_types ?? ['code']) : [],
    scope: client.scopes.join(' '),
    id_token_signed_response_alg: client.id_token_signing_alg,
    application_type: isNativeApp(client) ? 'native' : 'web',
    require_auth_time: true,
    ...(client.backchannel_logout_uri !== undefined && { backchannel_logout_session_required: true }),
    ...Object.fromEntries(TAKEN.map((name) => [name, client[name]])),
    software_statement: client.registration?.software_statement,
  };
}
