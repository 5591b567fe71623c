/** The rules for single values: each answers what is wrong with a text, in the operator's words, or nothing. */
import { isIP } from 'node:net';
import { parseStoreUrl } from './store-url.ts';

export type Rule = (text: string) => string | undefined;

/** A host that only this machine can reach (RFC 8252 §7.3, RFC 6761 §6.3). Takes the form that `URL.hostname` has. */
export function isLoopback(hostname: string): boolean {
  if (isIP(hostname) === 4) return hostname.startsWith('127.');
  return ['localhost', '[::1]', '::1'].includes(hostname) || hostname.endsWith('.localhost');
}

/** OpenID Connect Discovery §3 and RFC 8414 §2. Clients compare it character by character, so it has one spelling. */
export const issuerRule: Rule = (text) => {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) return 'must be an absolute https URL';
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    return 'must be https: http is for loopback addresses only';
  if (/[?#]/.test(text)) return 'must not have a query or a fragment';
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or a password';
  // With a host of its own, no other software shares its cookies or its origin.
  if (url.pathname !== '/') return 'must not have a path: give the server a host name of its own';
  const spelling = url.href.replace(/\/+$/, '');
  return text === spelling ? undefined : `must be written ${spelling}, as clients compare it character by character`;
};

/** Another issuer spells itself as it likes: tokens are compared with this character by character (RFC 7519 §4.1.1). */
export const trustedIssuerRule: Rule = (text) => {
  const url = /^[\x21-\x7E]+$/.test(text) ? URL.parse(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) return 'must be an absolute https URL';
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    return 'must be https: http is for loopback addresses only';
  if (/[?#]/.test(text)) return 'must not have a query or a fragment';
  return url.username === '' && url.password === '' ? undefined : 'must not hold a user name or a password';
};

/** RFC 6749 §3.1.2, RFC 8252 §7 and RFC 9700 §2.1: compared exactly, so nothing in it may be a pattern. */
export const redirectUriRule: Rule = (text) => {
  const url = /^[\x21-\x7E]+$/.test(text) ? URL.parse(text) : null;
  if (url === null) return 'must be an absolute URI';
  if (text.includes('*')) return 'must not have a wildcard; list every address';
  if (text.includes('#')) return 'must not have a fragment';
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or a password';
  if (url.protocol === 'https:' || isPrivateUse(text)) return undefined;
  if (url.protocol !== 'http:')
    return `must be https, or a private-use scheme with a dot such as com.example.app:/callback`;
  return isLoopback(url.hostname) ? undefined : 'must be https: http is for loopback addresses only';
};

/** A scheme that an app registers with the operating system: a domain of its maker, reversed (RFC 8252 §7.1). */
export function isPrivateUse(uri: string): boolean {
  return /^[a-z][a-z0-9+-]*\.[a-z0-9.+-]+:/i.test(uri);
}

/**
 * What only an app on the device can receive: a scheme of its own (RFC 8252 §7.1), or a loopback address without a
 * port, since the system gives the app another one each time (§7.3). `localhost` is a web app in development (§8.3).
 */
export function isNativeRedirect(uri: string): boolean {
  return isPrivateUse(uri) || /^http:\/\/(127\.0\.0\.1|\[::1\])([/?]|$)/i.test(uri);
}

/** A place for the client's browser or for the server to call. */
export const webUrlRule: Rule = (text) => {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) ? undefined : 'must be an http or https URL';
};

/** What a browser sends as `Origin` (RFC 6454 §6.1). */
export const originRule: Rule = (text) => {
  const isOrigin = webUrlRule(text) === undefined && URL.parse(text)?.origin === text;
  return isOrigin ? undefined : 'must be an origin: scheme, host and port, with no path and no slash at the end';
};

export const backchannelUriRule: Rule = (text) =>
  webUrlRule(text) ?? (text.includes('#') ? 'must not have a fragment' : undefined);

/** OpenID Connect CIBA Core 1.0 §4: the call carries a token. */
export const notificationRule: Rule = (text) =>
  URL.parse(text)?.protocol === 'https:' ? backchannelUriRule(text) : 'must be an https URL';

/** RFC 8707 §2. */
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

/** An address or, in CIDR form, a range of them. */
export const networkRule: Rule = (text) => {
  const [address = '', prefix, ...rest] = text.split('/');
  const version = isIP(address);
  const fits = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128));
  return version !== 0 && rest.length === 0 && fits
    ? undefined
    : 'must be an address or a network such as 10.0.0.0/8 or fd00::/8';
};

/** What a `Host` header may say; also how the operator names a host that the server may call. */
export const hostRule: Rule = (text) =>
  /^(\[[\da-f:.]+\]|[a-z\d]([a-z\d.-]*[a-z\d])?)(:\d{1,5})?$/i.test(text)
    ? undefined
    : 'must be a host with or without a port, such as login.example.com or 10.0.0.5:3000';
