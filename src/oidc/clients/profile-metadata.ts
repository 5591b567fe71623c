import type { ClientMetadata } from 'oidc-provider';
import { profiles, type Profile } from '../../config/sections/profiles.ts';
import type { Client } from '../../clients/clients.ts';

const SIGNED_ANSWERS = ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt'];

/** Returns the metadata that a profile imposes on a client, regardless of what the client registered. */
export function profileMetadata(profile: Profile, client: Client): Partial<ClientMetadata> {
  const { pushed, signedRequests, signedAnswers, boundTokens } = profiles[profile];
  return {
    ...(pushed && { require_pushed_authorization_requests: true }),
    ...(signedRequests && { require_signed_request_object: true }),
    ...(signedAnswers && { response_modes: SIGNED_ANSWERS }),
    ...(boundTokens &&
      client.tls_client_certificate_bound_access_tokens !== true && { dpop_bound_access_tokens: true }),
  };
}

/** Limits the server's metadata document (RFC 8414) to what the server's profile allows. */
export function withProfile(document: Record<string, unknown>, profile: Profile): Record<string, unknown> {
  const { pushed, signedRequests, signedAnswers, authMethods, algorithms } = profiles[profile];
  const narrowed = Object.entries(document).map(([name, value]) => {
    if (!Array.isArray(value)) return [name, value] as const;
    if (name.endsWith('_auth_methods_supported')) return [name, onlyAllowed(value, authMethods)] as const;
    if (name.endsWith('_signing_alg_values_supported')) return [name, onlyAllowed(value, algorithms)] as const;
    if (name === 'response_modes_supported' && signedAnswers)
      return [name, onlyAllowed(value, SIGNED_ANSWERS)] as const;
    return [name, value] as const;
  });
  return {
    ...Object.fromEntries(narrowed),
    ...(pushed && { require_pushed_authorization_requests: true }),
    ...(signedRequests && { require_signed_request_object: true }),
  };
}

function onlyAllowed(values: readonly unknown[], allowed: readonly string[] | undefined): readonly unknown[] {
  return allowed === undefined ? values : values.filter((value) => allowed.some((one) => one === value));
}
