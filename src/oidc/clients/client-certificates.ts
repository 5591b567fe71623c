import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Configuration } from 'oidc-provider';
import type { Config } from '../../config/schema.ts';
import { clientCertificate } from '../../http/client-certificate.ts';
import type { Clock } from '../../lib/clock.ts';
import { isNamed } from './certificate-names.ts';

/** The engine's hooks for client certificates. */
export type MutualTls = NonNullable<NonNullable<Configuration['features']>['mTLS']>;

/** Clients that prove themselves by a certificate, and tokens that work only with one (RFC 8705). */
export function mutualTls({ client_certificates: settings }: Config['listen'], clock: Clock): MutualTls {
  if (settings === undefined) return { enabled: false };
  const authorities = settings.ca === undefined ? [] : certificatesIn(readFileSync(settings.ca, 'utf8'));
  return {
    enabled: true,
    certificateBoundAccessTokens: true,
    selfSignedTlsClientAuth: true,
    tlsClientAuth: authorities.length > 0,
    getCertificate: (context) => clientCertificate(context),
    certificateAuthorized: (context) => {
      const certificate = clientCertificate(context);
      return certificate !== undefined && isIssuedBy(authorities, certificate, clock.now());
    },
    certificateSubjectMatches: (context, property, expected) => {
      const certificate = clientCertificate(context);
      return certificate !== undefined && isNamed(certificate, property, expected);
    },
  };
}

/** The certificates of a PEM file, which may hold text between them. */
function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/** Issued directly by one of these: an intermediate authority is listed beside the root. */
function isIssuedBy(authorities: readonly X509Certificate[], certificate: X509Certificate, now: number): boolean {
  if (!isCurrent(certificate, now)) return false;
  return authorities.some(
    (authority) =>
      authority.ca &&
      isCurrent(authority, now) &&
      certificate.checkIssued(authority) &&
      certificate.verify(authority.publicKey),
  );
}

function isCurrent({ validFromDate, validToDate }: X509Certificate, now: number): boolean {
  return validFromDate.getTime() <= now && now <= validToDate.getTime();
}

/** What is called where a certificate is asked for, where that is another address (RFC 8705 §5). */
const ALIASED = [
  'token_endpoint',
  'revocation_endpoint',
  'introspection_endpoint',
  'pushed_authorization_request_endpoint',
  'device_authorization_endpoint',
  'backchannel_authentication_endpoint',
  'userinfo_endpoint',
];

/** The metadata document with the endpoints that ask for a certificate. */
export function withMtlsAliases(
  document: Record<string, unknown>,
  settings: Config['listen']['client_certificates'],
): Record<string, unknown> {
  if (settings?.url === undefined) return document;
  const base = settings.url;
  const aliases = Object.entries(document).flatMap(([name, url]) =>
    ALIASED.includes(name) && typeof url === 'string' ? [[name, new URL(new URL(url).pathname, base).href]] : [],
  );
  return { ...document, mtls_endpoint_aliases: Object.fromEntries(aliases) as Record<string, string> };
}
