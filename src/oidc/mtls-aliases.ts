import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Config } from '../config/schema.ts';
import { calledHost } from '../http/called-host.ts';

type CertificateSettings = Config['listen']['client_certificates'];

/** Endpoints, by their routes, that have another address on the port for client certificates (RFC 8705 §5). */
const ALIASED: Readonly<Record<string, string>> = {
  token: 'token_endpoint',
  revocation: 'revocation_endpoint',
  introspection: 'introspection_endpoint',
  pushed_authorization_request: 'pushed_authorization_request_endpoint',
  device_authorization: 'device_authorization_endpoint',
  backchannel_authentication: 'backchannel_authentication_endpoint',
  userinfo: 'userinfo_endpoint',
};

/** Adds the endpoints with client certificates to the metadata document. */
export function withMtlsAliases(
  document: Record<string, unknown>,
  settings: CertificateSettings,
): Record<string, unknown> {
  if (settings?.url === undefined) return document;
  const base = settings.url;
  const aliases = Object.values(ALIASED).flatMap((name) => {
    const url = document[name];
    return typeof url === 'string' ? [[name, aliasOf(url, base)]] : [];
  });
  return { ...document, mtls_endpoint_aliases: Object.fromEntries(aliases) as Record<string, string> };
}

/**
 * Returns the published alias as an endpoint's URL if the request called it: a DPoP proof's `htu` is the called address
 * (RFC 9449 §4.3). The engine knows only the issuer's addresses.
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

/** The engine's types omit its context. */
type Called = KoaContextWithOIDC['oidc'] & { ctx: KoaContextWithOIDC };
type UrlFor = (this: Called, name: string, options?: object) => string;

function aliasOf(url: string, base: string): string {
  return new URL(new URL(url).pathname, base).href;
}
