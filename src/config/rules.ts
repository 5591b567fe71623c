/** A rule for a single value. It returns a message for the operator if the text breaks the rule, else `undefined`. */
import { isIP } from 'node:net';
import { parseStoreUrl } from './store-url.ts';

export type Rule = (text: string) => string | undefined;

/**
 * Tells whether only this machine can reach a host (RFC 8252 §7.3, RFC 6761 §6.3). Takes the host as `URL.hostname` has
 * it.
 */
export function isLoopback(hostname: string): boolean {
  if (isIP(hostname) === 4) return hostname.startsWith('127.');
  return ['localhost', '[::1]', '::1'].includes(hostname) || hostname.endsWith('.localhost');
}

/**
 * Checks the host of a web URL. URLs allow `;` and `,` in a host, but in a policy header they would end the host's
 * source expression (Content Security Policy §4.1).
 */
function hostFault({ protocol, hostname }: URL): string | undefined {
  if (!/^https?:$/.test(protocol) || /^(\[[\da-f:.]+\]|[a-z\d._-]+)$/.test(hostname)) return undefined;
  return 'must have a host of letters, digits, dots and hyphens';
}

/**
 * Checks this server's issuer (OpenID Connect Discovery §3, RFC 8414 §2). Clients compare the issuer character by
 * character, so it has only one spelling.
 */
export const issuerRule: Rule = (text) => {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return 'must be an absolute https URL';
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    return 'must be https: http is for loopback addresses only';
  if (/[?#]/.test(text)) return 'must not have a query or a fragment';
  if (url.username !== '' || url.password !== '') return 'must not contain a user name or a password';
  const host = hostFault(url);
  if (host !== undefined) return host;
  // The issuer needs a host of its own, so that no other software shares its cookies or its origin.
  if (url.pathname !== '/') return 'must not have a path: give the server its own host name';
  // The canonical spelling has no slash at the end.
  const spelling = url.origin;
  return text === spelling
    ? undefined
    : `must be written ${spelling}, because clients compare it character by character`;
};

/**
 * Checks a trusted issuer's identifier. It may have any spelling, because the server compares it with tokens character
 * by character (RFC 7519 §4.1.1).
 */
export const trustedIssuerRule: Rule = (text) => {
  const url = /^[\x21-\x7E]+$/.test(text) ? URL.parse(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) return 'must be an absolute https URL';
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    return 'must be https: http is for loopback addresses only';
  if (/[?#]/.test(text)) return 'must not have a query or a fragment';
  return url.username === '' && url.password === '' ? hostFault(url) : 'must not contain a user name or a password';
};

/**
 * Checks a redirect URI (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1). The server compares redirect URIs exactly, so no
 * pattern is allowed.
 */
export const redirectUriRule: Rule = (text) => {
  const url = /^[\x21-\x7E]+$/.test(text) ? URL.parse(text) : null;
  if (url === null) return 'must be an absolute URI';
  if (text.includes('*')) return 'must not have a wildcard; list every address';
  if (text.includes('#')) return 'must not have a fragment';
  if (url.username !== '' || url.password !== '') return 'must not contain a user name or a password';
  if (url.protocol === 'https:' || isPrivateUse(text)) return hostFault(url);
  if (url.protocol !== 'http:')
    return `must be https, or a private-use scheme with a dot such as com.example.app:/callback`;
  return isLoopback(url.hostname) ? hostFault(url) : 'must be https: http is for loopback addresses only';
};

/** Schemes that a browser or an operating system interprets itself. */
const RESERVED_SCHEMES: ReadonlySet<string> = new Set([
  ...['http', 'https', 'ws', 'wss', 'ftp', 'file', 'filesystem', 'data', 'blob', 'javascript', 'vbscript', 'about'],
  ...['view-source', 'jar', 'resource', 'chrome', 'content', 'intent', 'mailto', 'tel', 'sms', 'callto', 'urn'],
]);

/** Checks the name of a scheme that an app can register with the operating system (RFC 8252 §7.1). */
export const appSchemeRule: Rule = (text) =>
  /^[a-z][a-z0-9+.-]*$/.test(text) && !RESERVED_SCHEMES.has(text)
    ? undefined
    : 'must be the scheme of an app, such as cursor, without a colon';

/** Tells whether a URI has a scheme that an app registers with the operating system (RFC 8252 §7.1). */
export function isPrivateUse(uri: string): boolean {
  return appSchemeRule(schemeOf(uri)) === undefined;
}

/**
 * Tells whether the scheme has the form of a reversed domain name, as RFC 8252 §7.1 requires. Any app can register
 * another scheme.
 */
export function isOfDomain(uri: string): boolean {
  return schemeOf(uri).includes('.');
}

export function schemeOf(uri: string): string {
  return (/^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1] ?? '').toLowerCase();
}

/**
 * Tells whether a redirect URI leads to an app on the device. Its scheme is the app's own (RFC 8252 §7.1), or its host
 * is a loopback address, on which any program of the device can listen (§7.3, §8.6). The name `localhost` counts as a
 * web app in development (§8.3).
 */
export function isNativeRedirect(uri: string): boolean {
  if (isPrivateUse(uri)) return true;
  const { protocol, hostname } = new URL(uri);
  return protocol === 'http:' && isLoopback(hostname) && !/(^|\.)localhost$/.test(hostname);
}

/** Checks a URL that a browser or the server calls. */
export const webUrlRule: Rule = (text) => {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) ? hostFault(url) : 'must be an http or https URL';
};

/** Checks a URL prefix to which the server appends the first digits of a hash. */
export const rangeUrlRule: Rule = (text) =>
  webUrlRule(text) ??
  (/[^?#]\/$/.test(text) && !/[?#]/.test(text) ? undefined : 'must end with a slash, with no query and no fragment');

/** Checks the value of an `Origin` header (RFC 6454 §6.1). */
export const originRule: Rule = (text) => {
  const isOrigin = webUrlRule(text) === undefined && URL.parse(text)?.origin === text;
  return isOrigin ? undefined : 'must be an origin: scheme, host and port, with no path and no slash at the end';
};

export const backchannelUriRule: Rule = (text) =>
  webUrlRule(text) ?? (text.includes('#') ? 'must not have a fragment' : undefined);

/** Checks a URL that must be https even on loopback (OpenID Connect Dynamic Client Registration §2, CIBA Core §4). */
export const httpsUrlRule: Rule = (text) =>
  URL.parse(text)?.protocol === 'https:' ? backchannelUriRule(text) : 'must be an https URL';

/** Checks a resource server's identifier: an absolute URI without a fragment (RFC 8707 §2). */
export const resourceIdentifierRule: Rule = (text) => {
  if (!/^[\x21-\x7E]+$/.test(text) || URL.parse(text) === null) return 'must be an absolute URI';
  return text.includes('#') ? 'must not have a fragment' : undefined;
};

export const storeUrlRule: Rule = (text) => {
  try {
    parseStoreUrl(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : 'is not a store URL';
  }
};

/** Checks an IP address, or a network in CIDR notation. */
export const networkRule: Rule = (text) => {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  const fits = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128));
  return version !== 0 && rest.length === 0 && fits
    ? undefined
    : 'must be an address or a network such as 10.0.0.0/8 or fd00::/8';
};

/** Checks a value of a `Host` header. The operator's list of hosts that the server may call has the same form. */
export const hostRule: Rule = (text) =>
  /^(\[[\da-f:.]+\]|[a-z\d]([a-z\d.-]*[a-z\d])?)(:\d{1,5})?$/i.test(text)
    ? undefined
    : 'must be a host with or without a port, such as login.example.com or 10.0.0.5:3000';

/** Checks an address or a host name on which the server listens. */
export const listenHostRule: Rule = (text) =>
  isIP(text) !== 0 || /^[a-z\d_]([a-z\d._-]*[a-z\d])?$/i.test(text)
    ? undefined
    : 'must be an address or a host name, such as 127.0.0.1, 0.0.0.0 or ::, without a scheme and a port';
