import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP, SocketAddress } from 'node:net';
import { errors, type Configuration } from 'oidc-provider';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  KeyUsage,
  KeyUsageFlags,
  type Extension,
} from '@peculiar/asn1-x509';
import { ConfigError } from '../../config/problems.ts';
import type { Config } from '../../config/schema.ts';
import { clientCertificate } from '../../http/request-facts.ts';
import type { Clock } from '../../lib/clock.ts';
import { publicKeyFault, rsaSizeFault } from '../../lib/public-key.ts';

const OID = {
  subjectAltName: '2.5.29.17',
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  extendedKeyUsage: '2.5.29.37',
} as const;

/**
 * Extensions that may be critical, because this server applies their rules. It requires no certificate policy, so it
 * accepts every list of policies.
 */
const UNDERSTOOD: readonly string[] = [
  OID.subjectAltName,
  OID.keyUsage,
  OID.basicConstraints,
  OID.certificatePolicies,
  OID.extendedKeyUsage,
];

/**
 * Extended key usages that allow client authentication: `clientAuth` and `anyExtendedKeyUsage` (RFC 5280 §4.2.1.12).
 */
const FOR_CLIENTS = ['1.3.6.1.5.5.7.3.2', '2.5.29.37.0'];

/**
 * Accepted signature algorithms by OID, with a pattern for their parameters in hexadecimal. All use SHA-2 or newer.
 * RSASSA-PSS names its hash in its parameters. Without parameters, the hash is SHA-1 (RFC 4055 §3.1).
 */
const SIGNATURES: Readonly<Record<string, RegExp>> = {
  '1.2.840.113549.1.1.11': /^/,
  '1.2.840.113549.1.1.12': /^/,
  '1.2.840.113549.1.1.13': /^/,
  '1.2.840.113549.1.1.10': /^30..(a00d300b|a00f300d)060960864801650304020[123]/,
  '1.2.840.10045.4.3.2': /^/,
  '1.2.840.10045.4.3.3': /^/,
  '1.2.840.10045.4.3.4': /^/,
  '1.3.101.112': /^/,
  '1.3.101.113': /^/,
  '2.16.840.1.101.3.4.3.17': /^/,
  '2.16.840.1.101.3.4.3.18': /^/,
  '2.16.840.1.101.3.4.3.19': /^/,
};

/** The engine's hooks for client certificates. */
export type MutualTls = NonNullable<NonNullable<Configuration['features']>['mTLS']>;

/** Configures clients that authenticate by certificate, and tokens that are bound to one (RFC 8705). */
export function mutualTls({ client_certificates: settings }: Config['listen'], clock: Clock): MutualTls {
  if (settings === undefined) return { enabled: false };
  const authorities = settings.ca === undefined ? [] : authoritiesIn(settings.ca);
  return {
    enabled: true,
    certificateBoundAccessTokens: true,
    selfSignedTlsClientAuth: true,
    tlsClientAuth: authorities.length > 0,
    // A certificate with a weak key is ignored, because others could compute its private key.
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
 * Returns the certificate authorities of a PEM file, and ignores its other certificates. @throws ConfigError for an
 * authority that must not issue client certificates
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
 * Tells whether one of these authorities issued the certificate directly, and both are valid now. The server builds no
 * chains, so an intermediate authority must be listed beside the root.
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

/** Client metadata for the alternative names of RFC 8705 §2.1.2, and Node's label for each kind of name. */
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

/** Lists the alternative names of one kind. If a name contains a separator, Node writes it as a JSON string. */
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

/**
 * Normalizes a distinguished name (RFC 4514): attribute types are case-insensitive, and spaces around separators do not
 * count.
 */
function normalDn(dn: string): string {
  const parts = dn.match(/(?:\\.|[^,+])+|[,+]/gs) ?? [];
  return parts.map((part) => part.trim().replace(/^[^=]+=/, (type) => type.replace(/\s/g, '').toUpperCase())).join('');
}

/** @returns the reason why the key of the certificate is not accepted, or undefined */
function certificateKeyFault(certificate: X509Certificate): string | undefined {
  const fault = keyFault(certificate);
  return fault && `its key ${fault}`;
}

function keyFault(certificate: X509Certificate): string | undefined {
  try {
    const { publicKey } = certificate;
    // Node cannot export an RSA key that is restricted to RSASSA-PSS as a JWK.
    if (publicKey.asymmetricKeyType !== 'rsa-pss') return publicKeyFault({ ...publicKey.export({ format: 'jwk' }) });
    const { modulusLength = 0, publicExponent = 0n } = publicKey.asymmetricKeyDetails ?? {};
    return rsaSizeFault(modulusLength, publicExponent);
  } catch {
    return 'is of a kind that is not accepted here';
  }
}

/**
 * Checks the key, extensions and signature algorithm of a client's certificate (RFC 5280 §4.2, RFC 8705 §2.1). Its
 * name, validity period and issuer are checked elsewhere. @returns the reason for a refusal, or undefined
 */
function clientCertificateFault(certificate: X509Certificate): string | undefined {
  return (
    certificateKeyFault(certificate) ??
    faultIn(certificate, (parsed, extensions) => {
      if (certificate.ca || isAuthority(extensions)) return 'it is the certificate of an authority';
      return signatureFault(parsed) ?? usageFault(extensions, KeyUsageFlags.digitalSignature, 'digitalSignature');
    })
  );
}

/** @returns the reason why the authority must not issue client certificates, or undefined */
function authorityFault(authority: X509Certificate): string | undefined {
  return (
    certificateKeyFault(authority) ??
    faultIn(authority, (_parsed, extensions) => {
      if (extensions.has(OID.nameConstraints)) return 'its name constraints are not enforced here';
      return usageFault(extensions, KeyUsageFlags.keyCertSign, 'keyCertSign');
    })
  );
}

type KnownExtensions = ReadonlyMap<string, Extension>;

function faultIn(
  { raw }: X509Certificate,
  check: (parsed: Certificate, extensions: KnownExtensions) => string | undefined,
): string | undefined {
  try {
    const parsed = AsnConvert.parse(raw, Certificate);
    const { extensions: found } = parsed.tbsCertificate;
    const list = found === undefined ? [] : [...found];
    const extensions = new Map(list.map((extension) => [extension.extnID, extension]));
    if (extensions.size !== list.length) return 'it has an extension twice';
    const unknown = list.find(({ extnID, critical }) => critical && !UNDERSTOOD.includes(extnID));
    if (unknown !== undefined) return `it has the critical extension ${unknown.extnID}, which is not understood here`;
    return check(parsed, extensions);
  } catch {
    return 'it is malformed';
  }
}

/** Checks the signature algorithm, which the signed part of the certificate must repeat (RFC 5280 §4.1.1.2). */
function signatureFault({ signatureAlgorithm: outer, tbsCertificate: { signature: inner } }: Certificate) {
  if (outer.algorithm !== inner.algorithm) return 'it names two signature algorithms';
  const parameters = Buffer.from(outer.parameters ?? new ArrayBuffer(0)).toString('hex');
  if (SIGNATURES[outer.algorithm]?.test(parameters) === true) return undefined;
  return `its signature algorithm ${outer.algorithm} is too weak or not known`;
}

function isAuthority(extensions: KnownExtensions): boolean {
  const constraints = extensions.get(OID.basicConstraints);
  return constraints !== undefined && AsnConvert.parse(constraints.extnValue, BasicConstraints).cA;
}

/**
 * Checks the key usage and the extended key usage. A certificate without them is valid for every use (RFC 5280
 * §4.2.1.3, §4.2.1.12).
 */
function usageFault(extensions: KnownExtensions, flag: KeyUsageFlags, name: string): string | undefined {
  const [usage, extended] = [extensions.get(OID.keyUsage), extensions.get(OID.extendedKeyUsage)];
  if (usage !== undefined && (AsnConvert.parse(usage.extnValue, KeyUsage).toNumber() & flag) === 0)
    return `its key usage has no ${name}`;
  const purposes = extended && [...AsnConvert.parse(extended.extnValue, ExtendedKeyUsage)];
  if (purposes?.some((purpose) => FOR_CLIENTS.includes(purpose)) === false)
    return 'its extended key usage has no clientAuth';
  return undefined;
}
