import type { CipherSuite } from '../values.ts';

/**
 * Names of the profiles. A profile sets requirements for clients and their requests, for the whole server or for one
 * client.
 */
export const PROFILES = ['oauth2.1', 'fapi2-security', 'fapi2-message-signing', 'mcp', 'legacy'] as const;

export type Profile = (typeof PROFILES)[number];

export interface ProfileRules {
  /** Clients that must send a PKCE challenge (RFC 7636). Public clients must send one in every profile. */
  readonly pkce: 'of everybody' | 'or OpenID Connect' | 'of public clients';
  /** True if clients may register for the implicit and the password grant. */
  readonly oldFlows: boolean;
  /** True if every request must name the API that the token is for (RFC 8707). */
  readonly resource: boolean;
  /** True if clients must push their authorization requests (RFC 9126). */
  readonly pushed: boolean;
  /** True if clients must sign their authorization requests (RFC 9101). */
  readonly signedRequests: boolean;
  /** True if the server signs its authorization responses (JARM). */
  readonly signedAnswers: boolean;
  /**
   * True if access tokens must be bound to a key (RFC 8705, RFC 9449). Refresh tokens then need no rotation to detect
   * theft.
   */
  readonly boundTokens: boolean;
  /**
   * Acceptance of client assertions whose audience is the endpoint, as old libraries send them. Another server could
   * replay such an assertion here (draft-ietf-oauth-rfc7523bis §4).
   */
  readonly endpointAudience: 'never' | 'where a client says so' | 'unless a client says otherwise';
  /** Allowed client authentication methods; `undefined` allows every method that fits the client's type. */
  readonly authMethods?: readonly string[];
  /** Allowed signing algorithms; `undefined` allows all that the server supports. */
  readonly algorithms?: readonly string[];
  /** Seconds by which `iat` and `nbf` of a client's JWT may lie in the future. */
  readonly mostAhead?: number;
  /** Longest lifetime of an authorization code, in seconds. */
  readonly codeLife?: number;
  /** Allowed cipher suites of TLS 1.2; `undefined` leaves the choice to the TLS library. */
  readonly ciphers?: readonly CipherSuite[];
}

/**
 * OAuth 2.1 (draft-ietf-oauth-v2-1). §7.6 lets a confidential client rely on OpenID Connect instead of PKCE, and §10
 * lists what OAuth 2.1 removes.
 */
const oauth21: ProfileRules = {
  pkce: 'or OpenID Connect',
  oldFlows: false,
  resource: false,
  pushed: false,
  signedRequests: false,
  signedAnswers: false,
  boundTokens: false,
  endpointAudience: 'where a client says so',
};

/** Rules of the FAPI 2.0 Security Profile, §5.3.2 and §5.4. */
const fapi2Security: ProfileRules = {
  ...oauth21,
  pkce: 'of everybody',
  pushed: true,
  boundTokens: true,
  // FAPI 2.0 §5.3.2.1 requires the issuer as the audience, as a string.
  endpointAudience: 'never',
  authMethods: ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'],
  algorithms: ['PS256', 'ES256', 'EdDSA', 'Ed25519'],
  mostAhead: 60,
  codeLife: 60,
  // FAPI 2.0 §5.2.2 requires the suites that RFC 9325 §4.2 recommends.
  ciphers: [
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
  ],
};

export const profiles: Readonly<Record<Profile, ProfileRules>> = {
  'oauth2.1': oauth21,
  'fapi2-security': fapi2Security,
  /** Rules of FAPI 2.0 Message Signing, §5.3 and §5.4. */
  'fapi2-message-signing': { ...fapi2Security, signedRequests: true, signedAnswers: true },
  /**
   * Rules of the Model Context Protocol, Authorization: "Access Token Audience Binding", "Authorization Code
   * Protection".
   */
  mcp: { ...oauth21, pkce: 'of everybody', resource: true, endpointAudience: 'never' },
  legacy: {
    ...oauth21,
    pkce: 'of public clients',
    oldFlows: true,
    endpointAudience: 'unless a client says otherwise',
  },
};

/**
 * Returns the default signing algorithm of a client: RS256, which libraries expect (OpenID Connect Core §3.1.3.7), if
 * keys and profile allow it; otherwise the first algorithm that both allow.
 */
export function usualAlgorithm<T extends string>(algorithms: readonly T[], profile: Profile): T | 'RS256' {
  const allowed = algorithms.filter((alg) => profiles[profile].algorithms?.includes(alg) ?? true);
  return allowed.find((alg) => alg === 'RS256') ?? allowed[0] ?? 'RS256';
}
