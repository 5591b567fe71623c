import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { errors, type Configuration } from 'oidc-provider';
import { ConfigError } from '../../config/problems.ts';
import type { Config } from '../../config/schema.ts';
import { clientCertificate } from '../../http/client-certificate.ts';
import type { Clock } from '../../lib/clock.ts';
import { isNamed } from './certificate-names.ts';
import { authorityFault, certificateKeyFault, clientCertificateFault } from './certificate-rules.ts';

/** The engine's hooks for client certificates. */
export type MutualTls = NonNullable<NonNullable<Configuration['features']>['mTLS']>;

/** Clients that prove themselves by a certificate, and tokens that work only with one (RFC 8705). */
export function mutualTls({ client_certificates: settings }: Config['listen'], clock: Clock): MutualTls {
  if (settings === undefined) return { enabled: false };
  const authorities = settings.ca === undefined ? [] : authoritiesIn(settings.ca);
  return {
    enabled: true,
    certificateBoundAccessTokens: true,
    selfSignedTlsClientAuth: true,
    tlsClientAuth: authorities.length > 0,
    // A key that others can compute proves nothing, whoever registered it or wants tokens bound to it.
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
 * The authorities of a PEM file; other certificates in it count for nothing.
 * @throws ConfigError for one whose own limits would not be kept here
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
      isCurrent(authority, now) && certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
  );
}

function isCurrent({ validFromDate, validToDate }: X509Certificate, now: number): boolean {
  return validFromDate.getTime() <= now && now <= validToDate.getTime();
}
