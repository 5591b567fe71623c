import type { ClientMetadata } from 'oidc-provider';
import { ACCOUNT_CLIENT } from '../../config/client-schema.ts';
import { usualAlgorithm } from '../../config/profiles.ts';
import type { Config } from '../../config/schema.ts';
import { routes } from '../endpoints.ts';
import { POLICY, type ClientPolicy } from './client-metadata.ts';

/** The path to which people come back who signed in for a page of their own. */
export const SIGNED_IN_PATH = '/signed-in';

/** Brings back nothing but the person (OAuth 2.0 Multiple Response Type Encoding Practices §4). */
export const NO_RESPONSE = 'none';

/**
 * The server's own pages as a client of the engine: signing in for one of them is signing in as for any app, with the same
 * limits and the same binding to the browser. It is given neither codes nor tokens.
 */
export function accountClient({
  issuer,
  branding,
  keys,
}: Pick<Config, 'issuer' | 'branding' | 'keys'>): ClientMetadata {
  const usual = usualAlgorithm(keys.algorithms, 'legacy');
  const policy: ClientPolicy = {
    // Of a request that leads to no token, no profile asks anything.
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

/** The address at which somebody signs in and comes back to a page of their own. */
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
