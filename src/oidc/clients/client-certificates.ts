import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP, SocketAddress } from 'node:net';
import { errors, type Configuration } from 'oidc-provider';
import { ConfigError } from '../../config/problems.ts';
import type { Config } from '../../config/schema.ts';
import { clientCertificate } from '../../http/request-facts.ts';
import type { Clock } from '../../lib/clock.ts';
import { authorityFault, certificateKeyFault, clientCertificateFault } from './certificate-rules.ts';

/** The engine's hooks for client certificates. */
export type MutualTls = NonNullable<NonNullable<Configuration['features']>['mTLS']>;

/** Hooks for clients that authenticate by certificate, and for tokens bound to one (RFC 8705). */
export function mutualTls({ client_certificates: settings }: Config['listen'], clock: Clock): MutualTls {
  if (settings === undefined) return { enabled: false };
  const authorities = settings.ca === undefined ? [] : authoritiesIn(settings.ca);
  return {
    enabled: true,
    certificateBoundAccessTokens: true,
    selfSignedTlsClientAuth: true,
    tlsClientAuth: authorities.length > 0,
    // A key that others can compute proves nothing, whatever it is used for.
    getCertificate: (context) => {
      const certificate = clientCertificate(context);
      return certificate === undefined || certificateKeyFault(certificate) !== undefined ? undefined : certificate;
    },
    certificateAuthorized: (context) => {
      const certificate = clientCertificate(context);
      if (certificate === undefined) return false;
      const fault = clientCertificateFault(certificate);
      if (fault !== undefined) throw new errors.InvalidClientAuth(`client certificate refused: ${fault}`);
      return isIssuedBy(authorities, certificate, clock.now());
    },
    certificateSubjectMatches: (context, property, expected) => {
      const certificate = clientCertificate(context);
      return certificate !== undefined && isNamed(certificate, property, expected);
    },
  };
}

/**
 * Returns the certificate authorities of a PEM file and ignores its other certificates. @throws ConfigError for an
 * authority whose own limits this server would not apply
 */
function authoritiesIn(file: string): X509Certificate[] {
  const authorities = certificatesIn(readFileSync(file, 'utf8')).filter(({ ca }) => ca);
  const problems = authorities.flatMap((authority) => {
    const fault = authorityFault(authority);
    const subject = JSON.stringify(authority.subject.replaceAll('\n', ', '));
    const message = `must not hold the authority ${subject}: ${fault}; take it out, or list another that issues to clients`;
    return fault === undefined ? [] : [{ path: 'listen.client_certificates.ca', message }];
  });
  if (problems.length > 0) throw new ConfigError(file, problems);
  return authorities;
}

/** Returns the certificates of a PEM file, which may contain other text. */
function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/**
 * Tells whether one of these issued the certificate directly. An intermediate authority must be listed beside the root.
 */
function isIssuedBy(authorities: readonly X509Certificate[], certificate: X509Certificate, now: number): boolean {
  if (!isCurrent(certificate, now)) return false;
  return authorities.some(
    (authority) =>
      isCurrent(authority, now) && certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
  );
}

function isCurrent({ validFromDate, validToDate }: X509Certificate, now: number): boolean {
  return validFromDate.getTime() <= now && now <= validToDate.getTime();
}

/** Alternative names that RFC 8705 §2.1.2 may compare, and Node's labels for them. */
const ALTERNATIVE_NAMES: Record<string, string> = {
  tls_client_auth_san_dns: 'DNS',
  tls_client_auth_san_uri: 'URI',
  tls_client_auth_san_ip: 'IP Address',
  tls_client_auth_san_email: 'email',
};

/** Tells whether a certificate has exactly the name that a client registered (RFC 8705 §2.1.2). */
function isNamed(certificate: X509Certificate, property: string, expected: string): boolean {
  if (property === 'tls_client_auth_subject_dn')
    return normalDn(certificate.subject.split('\n').toReversed().join(',')) === normalDn(expected);
  const kind = ALTERNATIVE_NAMES[property];
  if (kind === undefined) return false;
  const same = property === 'tls_client_auth_san_ip' ? isSameAddress : isSameText;
  return namesOf(certificate, kind).some((name) => same(name, expected));
}

/** Node quotes a name that could be taken for several as a JSON string. */
function namesOf({ subjectAltName = '' }: X509Certificate, kind: string): string[] {
  const entries = subjectAltName.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? [];
  return entries.flatMap((entry) => {
    const [, name, value = ''] = /^\s*([^:]+):(.*)$/s.exec(entry) ?? [];
    if (name !== kind) return [];
    return [value.startsWith('"') ? String(JSON.parse(value)) : value];
  });
}

function isSameText(actual: string, expected: string): boolean {
  return actual === expected;
}

/** Compares parsed addresses, because an IPv6 address has many spellings. */
function isSameAddress(actual: string, expected: string): boolean {
  return isIP(actual) !== 0 && isIP(actual) === isIP(expected) && normalAddress(actual) === normalAddress(expected);
}

function normalAddress(address: string): string {
  return new SocketAddress({ address, family: isIP(address) === 6 ? 'ipv6' : 'ipv4' }).address;
}

/** RFC 4514: attribute types are case-insensitive, and spaces around the separators do not count. */
function normalDn(dn: string): string {
  const parts = dn.match(/(?:\\.|[^,+])+|[,+]/gs) ?? [];
  return parts.map((part) => part.trim().replace(/^[^=]+=/, (type) => type.replace(/\s/g, '').toUpperCase())).join('');
}
