import type { CipherSuite } from './values.ts';

/** What is asked of clients and of their requests, by one word for the server or for a client. */
export const PROFILES = ['oauth2.1', 'fapi2-security', 'fapi2-message-signing', 'mcp', 'legacy'] as const;

export type Profile = (typeof PROFILES)[number];

export interface ProfileRules {
  /** Whose requests for a code carry a challenge (RFC 7636): a public client's do in every profile. */
  readonly pkce: 'of everybody' | 'or OpenID Connect' | 'of public clients';
  /** Whether tokens may come through the browser, and passwords through the client, where it is registered for that. */
  readonly oldFlows: boolean;
  /** Whether every token is for an API that was named (RFC 8707). */
  readonly resource: boolean;
  /** Whether requests are pushed (RFC 9126), and signed (RFC 9101). */
  readonly pushed: boolean;
  readonly signedRequests: boolean;
  /** Whether answers are signed (JARM). */
  readonly signedAnswers: boolean;
  /** Whether access tokens are bound to a key (RFC 8705, RFC 9449), which leaves nothing for rotation to find out. */
  readonly boundTokens: boolean;
  /**
   * Whether a client's assertion may be for the endpoint that it is sent to, as old libraries have it. Another server could
   * pass such a one on (draft-ietf-oauth-rfc7523bis §4).
   */
  readonly endpointAudience: 'never' | 'where a client says so' | 'unless a client says otherwise';
  /** How clients may prove who asks; `undefined` leaves it to their type. */
  readonly authMethods?: readonly string[];
  /** What everything is signed with; `undefined` is all that this server can. */
  readonly algorithms?: readonly string[];
  /** Seconds by which a JWT of a client may lie in the future (`iat`, `nbf`). */
  readonly mostAhead?: number;
  /** The longest life of a code, in seconds. */
  readonly codeLife?: number;
  /** The suites of TLS 1.2; `undefined` leaves them to the TLS library. */
  readonly ciphers?: readonly CipherSuite[];
}

/** draft-ietf-oauth-v2-1: §7.6 lets a confidential client rely on OpenID Connect instead; §10 lists what is gone. */
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

/** FAPI 2.0 Security Profile, §5.3.2 and §5.4. */
const fapi2Security: ProfileRules = {
  ...oauth21,
  pkce: 'of everybody',
  pushed: true,
  boundTokens: true,
  // §5.3.2.1: the issuer, as a string.
  endpointAudience: 'never',
  authMethods: ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'],
  algorithms: ['PS256', 'ES256', 'EdDSA', 'Ed25519'],
  mostAhead: 60,
  codeLife: 60,
  // §5.2.2: those that RFC 9325 §4.2 recommends.
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
  /** FAPI 2.0 Message Signing, §5.3 and §5.4. */
  'fapi2-message-signing': { ...fapi2Security, signedRequests: true, signedAnswers: true },
  /** Model Context Protocol, Authorization: "Access Token Audience Binding", "Authorization Code Protection". */
  mcp: { ...oauth21, pkce: 'of everybody', resource: true, endpointAudience: 'never' },
  legacy: {
    ...oauth21,
    pkce: 'of public clients',
    oldFlows: true,
    endpointAudience: 'unless a client says otherwise',
  },
};

/**
 * The algorithm that signs for a client which names none: RS256, as libraries expect it (OpenID Connect Core §3.1.3.7),
 * where the keys and the profile have it, else the first algorithm that both have.
 */
export function usualAlgorithm<T extends string>(algorithms: readonly T[], profile: Profile): T | 'RS256' {
  const allowed = algorithms.filter((alg) => profiles[profile].algorithms?.includes(alg) ?? true);
  return allowed.find((alg) => alg === 'RS256') ?? allowed[0] ?? 'RS256';
}
