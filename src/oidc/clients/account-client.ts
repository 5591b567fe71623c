import type { ClientMetadata } from 'oidc-provider';
import { ACCOUNT_CLIENT } from '../../config/sections/client-schema.ts';
import { usualAlgorithm } from '../../config/sections/profiles.ts';
import type { Config } from '../../config/schema.ts';
import { routes } from '../endpoints.ts';
import { POLICY, type ClientPolicy } from './client-metadata.ts';

/** Path to which people return after they have signed in for an account page. */
export const SIGNED_IN_PATH = '/signed-in';

/** Response type without codes and tokens (OAuth 2.0 Multiple Response Type Encoding Practices §4). */
export const NO_RESPONSE = 'none';

/**
 * Returns the metadata of the client that stands for the server's own account pages. A sign-in for them thus has the
 * same limits and the same browser binding as a sign-in for an app. This client gets neither codes nor tokens.
 */
export function accountClient({
  issuer,
  branding,
  keys,
}: Pick<Config, 'issuer' | 'branding' | 'keys'>): ClientMetadata {
  const usual = usualAlgorithm(keys.algorithms, 'legacy');
  const policy: ClientPolicy = {
    // The least strict profile is enough, because no request of this client leads to a token.
    profile: 'legacy',
    firstParty: true,
    apiTokensAtUserinfo: false,
    origins: [],
    scopes: ['openid'],
    resources: [],
    endpointAudience: false,
    introspects: false,
    receivesSignals: false,
    isSelfDescribed: false,
    secretHashes: [],
  };
  return {
    client_id: ACCOUNT_CLIENT,
    client_name: branding.name,
    redirect_uris: [issuer + SIGNED_IN_PATH],
    response_types: [NO_RESPONSE],
    grant_types: [],
    token_endpoint_auth_method: 'none',
    scope: 'openid',
    id_token_signed_response_alg: usual,
    authorization_signed_response_alg: usual,
    introspection_signed_response_alg: usual,
    [POLICY]: policy,
  };
}

/** Returns the authorization URL at which a person signs in for an account page. */
export function signInUrl(issuer: string, page: string): string {
  const request = {
    client_id: ACCOUNT_CLIENT,
    response_type: NO_RESPONSE,
    scope: 'openid',
    redirect_uri: issuer + SIGNED_IN_PATH,
    state: page,
  };
  return `${routes.authorization}?${new URLSearchParams(request).toString()}`;
}
