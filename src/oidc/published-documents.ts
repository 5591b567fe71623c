import type { Provider, KoaContextWithOIDC } from 'oidc-provider';
import { OF_A_PERSON, placed } from '../config/sections/claims-schema.ts';
import type { Config } from '../config/schema.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import { calledHost } from '../http/request-facts.ts';
import { NO_RESPONSE } from './clients/account-client.ts';
import { discoveryDocument } from './internals.ts';
import { withProfile } from './clients/profile-metadata.ts';

/** Metadata of a server that issues and accepts ID-JAGs (draft-ietf-oauth-identity-assertion-authz-grant). */
const ID_JAG = {
  identity_chaining_requested_token_types_supported: ['urn:ietf:params:oauth:token-type:id-jag'],
  authorization_grant_profiles_supported: ['urn:ietf:params:oauth:grant-profile:id-jag'],
};

/** The server's public documents by path (OpenID Connect Discovery 1.0 §4, RFC 8414 §3, RFC 7517 §5). */
export function publicDocuments(
  provider: Provider,
  ring: RingSnapshot,
  config: Pick<Config, 'clients' | 'listen' | 'profile'>,
): Map<string, object> {
  const engine = withoutOwnResponse(discoveryDocument(provider));
  const document = {
    ...engine,
    claims_supported: withAddedClaims(engine['claims_supported'], config.clients),
    ...authenticationAt(engine),
    ...ID_JAG,
    backchannel_user_code_parameter_supported: false,
  };
  const discovery = withoutEmptyLists(
    withProfile(withMtlsAliases(document, config.listen.client_certificates), config.profile),
  );
  return new Map<string, object>([
    ['/.well-known/openid-configuration', discovery],
    ['/.well-known/oauth-authorization-server', discovery],
    ['/jwks', { keys: ring.published }],
  ]);
}

/** Removes the response type that is reserved for the server's own pages. */
function withoutOwnResponse(document: Record<string, unknown>): Record<string, unknown> {
  const types = document['response_types_supported'] as readonly string[];
  return { ...document, response_types_supported: types.filter((type) => type !== NO_RESPONSE) };
}

/**
 * Lists the client authentication methods of revocation and introspection. Without these members, clients would assume
 * that both endpoints accept a secret only in the header (RFC 8414 §2). Public clients may not introspect.
 */
function authenticationAt(document: Record<string, unknown>): Record<string, unknown> {
  const methods = document['token_endpoint_auth_methods_supported'] as readonly string[];
  const algorithms = document['token_endpoint_auth_signing_alg_values_supported'];
  return {
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: algorithms,
    introspection_endpoint_auth_methods_supported: methods.filter((method) => method !== 'none'),
    introspection_endpoint_auth_signing_alg_values_supported: algorithms,
  };
}

/** Adds the claims that the operator configured for ID tokens and /userinfo. */
function withAddedClaims(names: unknown, clients: Config['clients']): string[] {
  const added = clients.flatMap(({ type, claims = {} }) =>
    Object.entries(placed(claims, type)).filter(([, { in: targets }]) =>
      targets.some((one) => OF_A_PERSON.includes(one)),
    ),
  );
  return [...new Set([...(names as string[]), ...added.map(([name]) => name)])];
}

/** Omits empty lists (RFC 8414 §3.2). */
function withoutEmptyLists(document: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(document).filter(([, value]) => !Array.isArray(value) || value.length > 0));
}

type CertificateSettings = Config['listen']['client_certificates'];

/**
 * Endpoints that have a second URL on the port for client certificates (RFC 8705 §5): the engine's route, and the
 * metadata member.
 */
const ALIASED: Readonly<Record<string, string>> = {
  token: 'token_endpoint',
  revocation: 'revocation_endpoint',
  introspection: 'introspection_endpoint',
  pushed_authorization_request: 'pushed_authorization_request_endpoint',
  device_authorization: 'device_authorization_endpoint',
  backchannel_authentication: 'backchannel_authentication_endpoint',
  userinfo: 'userinfo_endpoint',
};

/** Adds the URLs on the port for client certificates to the metadata document. */
function withMtlsAliases(document: Record<string, unknown>, settings: CertificateSettings): Record<string, unknown> {
  if (settings?.url === undefined) return document;
  const base = settings.url;
  const aliases = Object.values(ALIASED).flatMap((name) => {
    const url = document[name];
    return typeof url === 'string' ? [[name, aliasOf(url, base)]] : [];
  });
  return { ...document, mtls_endpoint_aliases: Object.fromEntries(aliases) as Record<string, string> };
}

/**
 * Returns an endpoint's alias as its URL if the client called the alias, because the `htu` of a DPoP proof is the
 * called URL (RFC 9449 §4.3). The engine knows only URLs of the issuer.
 */
export function urlForCalled(engine: UrlFor, { config }: { config: Pick<Config, 'listen'> }): UrlFor {
  const base = config.listen.client_certificates?.url;
  if (base === undefined) return engine;
  const { host } = new URL(base);
  return function urlFor(this: Called, name, options) {
    const url = engine.call(this, name, options);
    const isCalled = name === this.route && Object.hasOwn(ALIASED, name) && calledHost(this.ctx) === host;
    return isCalled ? aliasOf(url, base) : url;
  };
}

/** The engine's request context, with the `ctx` that the engine's types omit. */
type Called = KoaContextWithOIDC['oidc'] & { ctx: KoaContextWithOIDC };
type UrlFor = (this: Called, name: string, options?: object) => string;

function aliasOf(url: string, base: string): string {
  return new URL(new URL(url).pathname, base).href;
}
