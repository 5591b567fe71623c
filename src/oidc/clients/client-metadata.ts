import type { ClientMetadata, Client as EngineClient } from 'oidc-provider';
import { placed, type PlacedClaims, STANDARD_SCOPES } from '../../config/sections/claims-schema.ts';
import { authMethodOf } from '../../config/sections/client-auth-checks.ts';
import { isNativeApp, usesRedirects } from '../../config/sections/client-checks.ts';
import { CIBA_GRANT, TYPICAL_GRANTS } from '../../config/sections/client-schema.ts';
import { pathText, type Fault } from '../../config/problems.ts';
import { checkClientProfile } from '../../config/sections/profile-checks.ts';
import { profiles, usualAlgorithm, type Profile, type ProfileRules } from '../../config/sections/profiles.ts';
import type { Config } from '../../config/schema.ts';
import { sectorOf } from '../../config/sections/sector.ts';
import { originsOf, type Client } from '../../clients/clients.ts';
import { publicKeyFault } from '../../lib/public-key.ts';
import { profileMetadata } from './profile-metadata.ts';

/** Facts about a client that the hooks need beyond the engine's metadata. */
export interface ClientPolicy {
  profile: Profile;
  /**
   * Reason for refusing the client at each use: it does not satisfy its profile, or the server accepts none of its
   * keys. A stored client may be older than these checks.
   */
  fault?: string;
  firstParty: boolean;
  /** True if the client's access tokens for APIs are accepted at /userinfo too. */
  apiTokensAtUserinfo: boolean;
  origins: readonly string[];
  scopes: readonly string[];
  resources: readonly string[];
  defaultResource?: string;
  /** True if the client may introspect all tokens. A list limits it to the tokens for these APIs. */
  introspects: boolean | readonly string[];
  /** True if the client may have Shared Signals streams. */
  receivesSignals: boolean;
  frontChannelLogout?: { uri: string; sessionRequired: boolean };
  /** The client's token exchange policy. */
  tokenExchange?: NonNullable<Client['token_exchange']>;
  /**
   * The only client that may act with this client's tokens. If it is absent, the tokens carry no `may_act` (RFC 8693
   * §4.4).
   */
  mayAct?: string;
  /** True for a self-registered client, which no operator has checked. */
  isSelfDescribed: boolean;
  /** Hashes of the valid secrets. There are two while a new secret replaces an old one. */
  secretHashes: readonly string[];
  /** True if the server accepts client assertions whose audience is the called endpoint. */
  endpointAudience: boolean;
  /** Claims that the operator adds to the standard ones. */
  claims?: PlacedClaims;
  /** The sector, if the client's subjects are pairwise (OpenID Connect Core §8.1). */
  sector?: string;
  /** Seconds within which a refresh may be repeated. If absent, the server's setting applies. */
  refreshWindow?: number;
}

/** Name of the only metadata member that this server adds to the clients of the engine. */
export const POLICY = 'latchkey_policy';

/** Settings that are copied unchanged. */
const UNCHANGED = [
  'token_endpoint_auth_signing_alg',
  'subject_type',
  'sector_identifier_uri',
  'initiate_login_uri',
  'default_max_age',
  'client_uri',
  'logo_uri',
  'policy_uri',
  'tos_uri',
  'jwks_uri',
  'tls_client_auth_subject_dn',
  'tls_client_auth_san_dns',
  'tls_client_auth_san_uri',
  'tls_client_auth_san_ip',
  'tls_client_auth_san_email',
  'tls_client_certificate_bound_access_tokens',
  'dpop_bound_access_tokens',
  'require_pushed_authorization_requests',
  'id_token_encrypted_response_alg',
  'id_token_encrypted_response_enc',
  'userinfo_signed_response_alg',
  'userinfo_encrypted_response_alg',
  'userinfo_encrypted_response_enc',
  'request_object_signing_alg',
  'require_signed_request_object',
  'authorization_encrypted_response_alg',
  'authorization_encrypted_response_enc',
  'authorization_details_types',
  'backchannel_token_delivery_mode',
  'backchannel_client_notification_endpoint',
  'backchannel_authentication_request_signing_alg',
] as const;

/** Converts a client to the engine's form: RFC 7591 metadata. */
export function clientMetadata(client: Client, server: Pick<Config, 'profile' | 'keys'>): ClientMetadata {
  const { profile } = server;
  const scope = client.scopes.filter((name) => STANDARD_SCOPES.includes(name)).join(' ');
  return {
    client_id: client.client_id,
    client_name: client.client_name,
    ...secretFor(client),
    // For `client_secret_basic` and `client_secret_post` alike, the engine accepts the secret in the header or the
    // body.
    token_endpoint_auth_method: authMethodOf(client),
    grant_types: [...(client.grant_types ?? TYPICAL_GRANTS[client.type])],
    response_types: usesRedirects(client) ? [...(client.response_types ?? ['code'])] : [],
    application_type: isNativeApp(client) ? 'native' : 'web',
    redirect_uris: client.redirect_uris,
    post_logout_redirect_uris: client.post_logout_redirect_uris,
    ...(scope === '' ? {} : { scope }),
    ...signingAlgorithms(client, server),
    ...(client.backchannel_logout_uri === undefined
      ? {}
      : { backchannel_logout_uri: client.backchannel_logout_uri, backchannel_logout_session_required: true }),
    ...(client.grant_types?.includes(CIBA_GRANT) && { backchannel_token_delivery_mode: 'poll' }),
    ...pick(client, UNCHANGED),
    ...(client.jwks && { jwks: { keys: client.jwks.keys.filter((key) => publicKeyFault(key) === undefined) } }),
    ...profileMetadata(client.profile ?? profile, client),
    [POLICY]: policyFor(client, profile),
  };
}

/** Sets the client's signing algorithms, because the engine's default is RS256, for which the ring may have no key. */
function signingAlgorithms(
  client: Client,
  { profile, keys }: Pick<Config, 'profile' | 'keys'>,
): Partial<ClientMetadata> {
  const usual = client.id_token_signing_alg ?? usualAlgorithm(keys.algorithms, client.profile ?? profile);
  return {
    id_token_signed_response_alg: usual,
    authorization_signed_response_alg: client.authorization_signed_response_alg ?? usual,
    introspection_signed_response_alg: client.introspection_signed_response_alg ?? usual,
  };
}

/**
 * Returns the secret for the engine, which requires one but does not compare it. The engine gets the real secret only
 * if signatures are made with it, and otherwise the hash.
 */
function secretFor({ secret_hash: hash, signing_secret: secret }: Client): { client_secret?: string } {
  if (hash === undefined) return {};
  return { client_secret: secret?.reveal() ?? hash };
}

/**
 * Returns the facts about a client that the hooks need. @param serverProfile the profile of clients that have none of
 * their own
 */
export function policyFor(client: Client, serverProfile: Profile): ClientPolicy {
  const [fault] = [...faultsIfNoKeyIsUsable(client), ...checkClientProfile(client, serverProfile)];
  return {
    profile: client.profile ?? serverProfile,
    ...(fault && { fault: `${pathText(fault.path)} ${fault.message}` }),
    firstParty: client.first_party,
    apiTokensAtUserinfo: client.api_tokens_at_userinfo ?? client.first_party,
    origins: [...originsOf(client)],
    scopes: client.scopes,
    resources: client.resources,
    ...(client.default_resource === undefined ? {} : { defaultResource: client.default_resource }),
    endpointAudience: acceptsEndpointAudience(client, profiles[client.profile ?? serverProfile]),
    introspects: client.introspection,
    receivesSignals: client.shared_signals !== undefined,
    ...(client.frontchannel_logout_uri !== undefined && {
      frontChannelLogout: {
        uri: client.frontchannel_logout_uri,
        sessionRequired: client.frontchannel_logout_session_required ?? false,
      },
    }),
    ...(client.token_exchange === undefined ? {} : { tokenExchange: client.token_exchange }),
    ...(client.may_act === undefined ? {} : { mayAct: client.may_act }),
    isSelfDescribed: client.registration !== undefined,
    secretHashes: [client.secret_hash, client.previous_secret_hash].filter((hash) => hash !== undefined),
    ...claimsAndSector(client),
    ...(client.refresh_window === undefined ? {} : { refreshWindow: client.refresh_window }),
  };
}

/**
 * Finds keys that the server does not accept. A client may have some if it was stored before the server checked keys.
 */
export function weakKeys({ jwks }: Pick<Client, 'jwks'>): Fault[] {
  return (jwks?.keys ?? []).flatMap((key, at): Fault[] => {
    const message = publicKeyFault(key);
    return message === undefined ? [] : [{ path: ['jwks', 'keys', at], message }];
  });
}

function faultsIfNoKeyIsUsable(client: Client): Fault[] {
  const faults = weakKeys(client);
  return faults.length === client.jwks?.keys.length ? faults : [];
}

/** Returns the operator's extra claims for a client, and its sector if its subjects are pairwise. */
function claimsAndSector(client: Client): Pick<ClientPolicy, 'claims' | 'sector'> {
  const sector = sectorOf(client);
  return {
    ...(client.claims === undefined ? {} : { claims: placed(client.claims, client.type) }),
    ...(sector === undefined ? {} : { sector }),
  };
}

function acceptsEndpointAudience(
  { client_assertion_audience: audience }: Client,
  { endpointAudience }: ProfileRules,
): boolean {
  if (endpointAudience === 'never') return false;
  return audience === undefined ? endpointAudience === 'unless a client says otherwise' : audience === 'endpoint';
}

/** Returns the policy that `clientMetadata` put into a client of the engine. */
export function policyOf(client: EngineClient): ClientPolicy {
  return client[POLICY] as ClientPolicy;
}

/** Returns the rules of a client's profile. */
export function rulesOf(client: EngineClient): ProfileRules {
  return profiles[policyOf(client).profile];
}

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Partial<Pick<T, K>> {
  return Object.fromEntries(
    names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]),
  ) as Partial<Pick<T, K>>;
}
