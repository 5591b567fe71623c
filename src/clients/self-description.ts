import { authMethodOf } from '../config/client-auth-checks.ts';
import type { Fault } from '../config/problems.ts';
import type { ClientConfig, Config } from '../config/schema.ts';
import { Secret } from '../config/secret.ts';
import { validateClient, type Validated } from '../config/validate.ts';
import type { Client } from './clients.ts';

/** Client metadata as a stranger hands it in (RFC 7591 §2): any JSON object. */
export type Metadata = Readonly<Record<string, unknown>>;

/** The most that a client may have which nobody here registered. */
export type Reach = Pick<
  Config['registration'],
  'scopes' | 'resources' | 'grant_types' | 'token_endpoint_auth_methods'
>;

/** What is taken as it is, once it has passed the rules of the configuration; all other members are ignored (§2). */
const TAKEN = [
  'redirect_uris',
  'post_logout_redirect_uris',
  'jwks',
  'jwks_uri',
  'dpop_bound_access_tokens',
  'require_pushed_authorization_requests',
  'backchannel_logout_uri',
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

/** Where our settings have other names than the metadata. */
const NAMES: Record<string, string> = { scopes: 'scope', id_token_signing_alg: 'id_token_signed_response_alg' };

/**
 * Reads what a client says of itself as the configuration would read it, and holds it to what such clients may have.
 * Scopes and grant types beyond that are left out (RFC 7591 §2 lets the server replace them); the rest is refused.
 * @param secret becomes the client's own where its way of proving itself needs one
 * @returns faults whose paths start at the metadata
 */
export function selfDescribedClient(
  metadata: Metadata,
  given: { clientId: string; secret: string; reach: Reach; config: Config },
): Validated<ClientConfig> {
  const said = withoutNothings(metadata);
  const faults = ownFaults(said, given.reach);
  const validated = validateClient(settingsOf(said, given), given.config);
  if (!('faults' in validated) && faults.length === 0) return validated;
  return { faults: [...faults, ...('faults' in validated ? validated.faults.map(inTheirWords) : [])] };
}

function settingsOf(said: Metadata, { clientId, secret, reach, config }: Parameters<typeof selfDescribedClient>[1]) {
  const method = methodOf(said);
  return {
    ...Object.fromEntries(TAKEN.filter((name) => said[name] !== undefined).map((name) => [name, said[name]])),
    client_id: clientId,
    client_name: said['client_name'] ?? 'Unnamed app',
    type: method === 'none' ? 'spa' : isMachine(said) ? 'machine' : 'web',
    token_endpoint_auth_method: method,
    ...((method === 'client_secret_basic' || method === 'client_secret_post') && { secret: new Secret(secret) }),
    grant_types: within(reach.grant_types, said['grant_types'] ?? ['authorization_code']),
    scopes: within(reach.scopes, scopeList(said['scope']) ?? reach.scopes),
    resources: reach.resources,
    id_token_signing_alg: said['id_token_signed_response_alg'] ?? usualAlgorithm(config),
  };
}

function methodOf(said: Metadata): unknown {
  return said['token_endpoint_auth_method'] ?? 'client_secret_basic';
}

/** RFC 7592 §2.2: what is null or empty stands for nothing. */
function withoutNothings(metadata: Metadata): Metadata {
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== null && value !== ''));
}

function isMachine({ grant_types: grantTypes, redirect_uris: uris }: Metadata): boolean {
  return uris === undefined && Array.isArray(grantTypes) && grantTypes.every((name) => name === 'client_credentials');
}

/** OpenID Connect Registration §2 has RS256 where nothing is said. */
function usualAlgorithm({ keys }: Config): string {
  return keys.algorithms.find((alg) => alg === 'RS256') ?? keys.algorithms[0] ?? 'ES256';
}

function scopeList(scope: unknown): unknown {
  return typeof scope === 'string' ? scope.split(' ').filter((name) => name !== '') : scope;
}

/** What is no list is left for the schema to refuse. */
function within(allowed: readonly string[], asked: unknown): unknown {
  return Array.isArray(asked) ? allowed.filter((name) => asked.includes(name)) : asked;
}

function ownFaults(said: Metadata, reach: Reach): Fault[] {
  const faults: Fault[] = clientNameFaults(said['client_name']);
  const refuse = (name: string, message: string) => faults.push({ path: [name], message });
  if (!(reach.token_endpoint_auth_methods as readonly unknown[]).includes(methodOf(said)))
    refuse('token_endpoint_auth_method', `must be one of ${reach.token_endpoint_auth_methods.join(', ')}`);
  const { grant_types: grantTypes = ['authorization_code'], response_types: responseTypes = ['code'] } = said;
  if (Array.isArray(grantTypes) && !grantTypes.some((name) => (reach.grant_types as readonly unknown[]).includes(name)))
    refuse('grant_types', `must have one of ${reach.grant_types.join(', ')}`);
  if (!isMachine(said) && !(Array.isArray(responseTypes) && responseTypes.includes('code')))
    refuse('response_types', 'must have code');
  // Its key would be a secret that is stored so that it can be read back.
  if (said['id_token_signed_response_alg'] === 'HS256')
    refuse('id_token_signed_response_alg', 'must be an algorithm with a public key');
  return faults;
}

/** A name is shown to people beside ours: no line breaks, nothing that turns the direction of writing. */
function clientNameFaults(name: unknown): Fault[] {
  if (typeof name !== 'string' || (name.length <= 100 && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name))) return [];
  return [{ path: ['client_name'], message: 'must be at most 100 characters long, without control characters' }];
}

function inTheirWords({ path: [first = '', ...rest], message }: Fault): Fault {
  return { path: [NAMES[String(first)] ?? first, ...rest], message };
}

/** What is known of such a client, as RFC 7591 §3.2.1 answers it; without any secret. */
export function metadataOf(client: Client): Metadata {
  return {
    client_id: client.client_id,
    client_id_issued_at: client.registration?.issued_at,
    client_name: client.client_name,
    token_endpoint_auth_method: authMethodOf(client),
    grant_types: client.grant_types,
    response_types: client.grant_types?.includes('authorization_code') === true ? ['code'] : [],
    scope: client.scopes.join(' '),
    id_token_signed_response_alg: client.id_token_signing_alg,
    ...Object.fromEntries(TAKEN.map((name) => [name, client[name]])),
    software_statement: client.registration?.software_statement,
  };
}
