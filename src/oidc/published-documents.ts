import type { Provider } from 'oidc-provider';
import type { Config } from '../config/schema.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import { withMtlsAliases } from './client-certificates.ts';
import { discoveryDocument } from './internals.ts';

/** The documents that others learn this server from (OpenID Connect Discovery 1.0 §4, RFC 8414 §3, RFC 7517 §5), by path. */
export function publicDocuments(
  provider: Provider,
  ring: RingSnapshot,
  certificates: Config['listen']['client_certificates'],
): Map<string, object> {
  const discovery = withMtlsAliases(discoveryDocument(provider), certificates);
  return new Map<string, object>([
    ['/.well-known/openid-configuration', discovery],
    ['/.well-known/oauth-authorization-server', discovery],
    ['/jwks', { keys: ring.published }],
  ]);
}
