import type { Config } from '../config/schema.ts';
import { route, unsecured, type Route } from '../http/route.ts';
import { POLL, PUSH } from './streams.ts';

/** Transmitter configuration metadata (Shared Signals Framework 1.0 §7). */
export function metadataRoute({ issuer, shared_signals: signals, keys }: Config): Route {
  const metadata = {
    spec_version: '1_0',
    issuer,
    jwks_uri: `${issuer}/jwks`,
    delivery_methods_supported: [PUSH, POLL],
    configuration_endpoint: `${issuer}/ssf/streams`,
    status_endpoint: `${issuer}/ssf/status`,
    add_subject_endpoint: `${issuer}/ssf/subjects/add`,
    remove_subject_endpoint: `${issuer}/ssf/subjects/remove`,
    verification_endpoint: `${issuer}/ssf/verification`,
    authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6749' }],
    default_subjects: signals.default_subjects,
  };
  return route('GET', '/.well-known/ssf-configuration', unsecured, (context) => {
    context.set({ 'Cache-Control': `public, max-age=${keys.jwks_max_age}`, 'Access-Control-Allow-Origin': '*' });
    context.body = metadata;
  });
}
