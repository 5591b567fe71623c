import type { Provider } from 'oidc-provider';
import type { Config } from '../config/schema.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import { withMtlsAliases } from './clients/client-certificates.ts';
import { discoveryDocument } from './internals.ts';
import { withProfile } from './clients/profile-metadata.ts';

/** That this server gives and takes ID-JAGs (draft-ietf-oauth-identity-assertion-authz-grant, on metadata). */
const ID_JAG = {
  identity_chaining_requested_token_types_supported: ['urn:ietf:params:oauth:token-type:id-jag'],
  authorization_grant_profiles_supported: ['urn:ietf:params:oauth:grant-profile:id-jag'],
};

/** The documents that others learn this server from (OpenID Connect Discovery 1.0 §4, RFC 8414 §3, RFC 7517 §5), by path. */
export function publicDocuments(
  provider: Provider,
  ring: RingSnapshot,
  config: Pick<Config, 'listen' | 'profile'>,
): Map<string, object> {
  const document = { ...discoveryDocument(provider), ...ID_JAG, backchannel_user_code_parameter_supported: false };
  const discovery = withoutEmptyLists(
    withProfile(withMtlsAliases(document, config.listen.client_certificates), config.profile),
  );
  return new Map<string, object>([
    ['/.well-known/openid-configuration', discovery],
    ['/.well-known/oauth-authorization-server', discovery],
    ['/jwks', { keys: ring.published }],
  ]);
}

/** RFC 8414 §3.2: what has no element is left out. */
function withoutEmptyLists(document: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(document).filter(([, value]) => !Array.isArray(value) || value.length > 0));
}
