import { authMethodOf } from './client-auth-checks.ts';
import type { Fault, Path } from '../problems.ts';
import { profiles, type Profile, type ProfileRules } from './profiles.ts';
import type { ClientConfig, Draft } from '../schema.ts';

/** The part of a client that profiles check, from the configuration or the store. */
type ProfiledClient = Omit<ClientConfig, 'secret' | 'previous_secret'>;

/**
 * Checks the server's keys, tokens, cipher suites and resources against its profile. {@link checkClientProfile} checks
 * each client.
 */
export function checkServerProfile({ profile, keys, listen, tokens, resources }: Draft): Fault[] {
  if (profile === undefined) return [];
  const { algorithms, ciphers, codeLife } = profiles[profile];
  const code = tokens?.authorization_code ?? 0;
  return [
    ...(keys?.algorithms ?? []).flatMap((alg, index) => unlisted(profile, alg, ['keys', 'algorithms', index])),
    ...resources.flatMap((resource, index) =>
      // Another check reports an algorithm that `keys.algorithms` lacks.
      algorithms === undefined || keys?.algorithms.includes(resource?.signing_alg ?? 'ES256')
        ? []
        : unlisted(profile, resource?.signing_alg, ['resources', index, 'signing_alg']),
    ),
    ...(listen?.tls?.ciphers ?? []).flatMap((suite, index) =>
      ciphers?.includes(suite) === false
        ? [
            {
              path: ['listen', 'tls', 'ciphers', index],
              message: `must not be ${suite} for profile ${profile}: ${ciphers.join(', ')}`,
            },
          ]
        : [],
    ),
    ...(codeLife !== undefined && code > codeLife
      ? [{ path: ['tokens', 'authorization_code'], message: `must be at most ${codeLife}s for profile ${profile}` }]
      : []),
  ];
}

type Check = (client: ProfiledClient, rules: ProfileRules, profile: Profile) => Fault[];

const CHECKS: readonly Check[] = [
  methodIsAllowed,
  algorithmsAreAllowed,
  flowsAreAllowed,
  requiredSettingsAreOn,
  signersHaveKeys,
  audienceIsAllowed,
];

/**
 * Checks a client against its own profile, or else against the server's. Paths start at the client. The server also
 * checks a stored client whenever it uses it.
 */
export function checkClientProfile(client: ProfiledClient, serverProfile: Profile | undefined): Fault[] {
  const profile = client.profile ?? serverProfile;
  return profile === undefined ? [] : CHECKS.flatMap((check) => check(client, profiles[profile], profile));
}

function methodIsAllowed(client: ProfiledClient, { authMethods }: ProfileRules, profile: Profile): Fault[] {
  const method = authMethodOf(client);
  if (authMethods === undefined || authMethods.includes(method)) return [];
  const message = `must not be ${method} for profile ${profile}: ${authMethods.join(', ')}`;
  return [{ path: ['token_endpoint_auth_method'], message }];
}

const SIGNED = [
  'id_token_signing_alg',
  'userinfo_signed_response_alg',
  'authorization_signed_response_alg',
  'introspection_signed_response_alg',
  'request_object_signing_alg',
  'backchannel_authentication_request_signing_alg',
  'token_endpoint_auth_signing_alg',
] as const;

function algorithmsAreAllowed(client: ProfiledClient, _rules: ProfileRules, profile: Profile): Fault[] {
  return SIGNED.flatMap((key) => unlisted(profile, client[key], [key]));
}

const OLD_GRANTS: readonly string[] = ['implicit', 'password'];

function flowsAreAllowed(client: ProfiledClient, rules: ProfileRules, profile: Profile): Fault[] {
  const grants = rules.oldFlows ? [] : (client.grant_types ?? []);
  return [
    ...grants.flatMap((name, index) =>
      OLD_GRANTS.includes(name)
        ? [{ path: ['grant_types', index], message: `must not be ${name} for profile ${profile}` }]
        : [],
    ),
    ...goneResponseTypes(client.response_types ?? [], profile),
  ];
}

/** Refuses the response types that a profile excludes. Paths start at the mapping that holds `response_types`. */
export function goneResponseTypes(types: readonly string[], profile: Profile): Fault[] {
  const { oldFlows, pkce } = profiles[profile];
  if (oldFlows) return [];
  // OAuth 2.1 drops access tokens from the authorization response. OpenID Connect may still add an ID token to the
  // code.
  const isGone = (type: string) => (pkce === 'of everybody' ? type !== 'code' : type.split(' ').includes('token'));
  return types.flatMap((name, index) =>
    isGone(name) ? [{ path: ['response_types', index], message: `must not be ${name} for profile ${profile}` }] : [],
  );
}

function requiredSettingsAreOn(client: ProfiledClient, rules: ProfileRules, profile: Profile): Fault[] {
  const asked = {
    require_pushed_authorization_requests: rules.pushed,
    require_signed_request_object: rules.signedRequests,
    dpop_bound_access_tokens: rules.boundTokens && client.tls_client_certificate_bound_access_tokens !== true,
  };
  return (Object.keys(asked) as (keyof typeof asked)[]).flatMap((key) =>
    asked[key] && client[key] === false ? [{ path: [key], message: `must not be false for profile ${profile}` }] : [],
  );
}

function signersHaveKeys(client: ProfiledClient, { signedRequests }: ProfileRules, profile: Profile): Fault[] {
  const hasKeys = client.jwks !== undefined || client.jwks_uri !== undefined;
  if (!signedRequests || hasKeys || client.type === 'machine') return [];
  return [{ path: ['jwks_uri'], message: `or jwks is required for profile ${profile}, because requests are signed` }];
}

function audienceIsAllowed(client: ProfiledClient, { endpointAudience }: ProfileRules, profile: Profile): Fault[] {
  if (client.client_assertion_audience !== 'endpoint' || endpointAudience !== 'never') return [];
  return [{ path: ['client_assertion_audience'], message: `must be issuer for profile ${profile}` }];
}

function unlisted(profile: Profile, alg: string | undefined, path: Path): Fault[] {
  const { algorithms } = profiles[profile];
  if (alg === undefined || algorithms === undefined || algorithms.includes(alg)) return [];
  return [{ path, message: `must not be ${alg} for profile ${profile}: ${algorithms.join(', ')}` }];
}
