import type { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { BasicConstraints, Certificate, ExtendedKeyUsage, KeyUsage, KeyUsageFlags } from '@peculiar/asn1-x509';
import type { Extension } from '@peculiar/asn1-x509';
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
 * Extensions that may be critical, because this server applies their rules. It requires no policy, so any policy list
 * is acceptable.
 */
const UNDERSTOOD: readonly string[] = [
  OID.subjectAltName,
  OID.keyUsage,
  OID.basicConstraints,
  OID.certificatePolicies,
  OID.extendedKeyUsage,
];

/** `clientAuth`, and `anyExtendedKeyUsage` (RFC 5280 §4.2.1.12). */
const FOR_CLIENTS = ['1.3.6.1.5.5.7.3.2', '2.5.29.37.0'];

/**
 * Algorithms with SHA-2 or newer. RSASSA-PSS names its hash in its parameters; without one it is SHA-1 (RFC 4055 §3.1).
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

/** @returns the reason why its key is too weak, or undefined */
export function certificateKeyFault(certificate: X509Certificate): string | undefined {
  const fault = keyFault(certificate);
  return fault && `its key ${fault}`;
}

function keyFault(certificate: X509Certificate): string | undefined {
  try {
    const { publicKey } = certificate;
    // Node exports no JWK for an RSA key that is restricted to RSASSA-PSS.
    if (publicKey.asymmetricKeyType !== 'rsa-pss') return publicKeyFault({ ...publicKey.export({ format: 'jwk' }) });
    const { modulusLength = 0, publicExponent = 0n } = publicKey.asymmetricKeyDetails ?? {};
    return rsaSizeFault(modulusLength, publicExponent);
  } catch {
    return 'is of a kind that is not accepted here';
  }
}

/**
 * Checks a client's certificate (RFC 5280 §4.2, RFC 8705 §2.1) beyond its name, its validity period and its issuer's
 * signature. @returns the reason for a refusal, or undefined
 */
export function clientCertificateFault(certificate: X509Certificate): string | undefined {
  return (
    certificateKeyFault(certificate) ??
    faultIn(certificate, (parsed, extensions) => {
      if (certificate.ca || isAuthority(extensions)) return 'it is the certificate of an authority';
      return signatureFault(parsed) ?? usageFault(extensions, KeyUsageFlags.digitalSignature, 'digitalSignature');
    })
  );
}

/** @returns the reason why it must not issue client certificates, or undefined */
export function authorityFault(authority: X509Certificate): string | undefined {
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

/** The signed part must name the algorithm too (RFC 5280 §4.1.1.2). */
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

/** A certificate without usage extensions is valid for every use (RFC 5280 §4.2.1.3, §4.2.1.12). */
function usageFault(extensions: KnownExtensions, flag: KeyUsageFlags, name: string): string | undefined {
  const [usage, extended] = [extensions.get(OID.keyUsage), extensions.get(OID.extendedKeyUsage)];
  if (usage !== undefined && (AsnConvert.parse(usage.extnValue, KeyUsage).toNumber() & flag) === 0)
    return `its key usage has no ${name}`;
  const purposes = extended && [...AsnConvert.parse(extended.extnValue, ExtendedKeyUsage)];
  if (purposes?.some((purpose) => FOR_CLIENTS.includes(purpose)) === false)
    return 'its extended key usage has no clientAuth';
  return undefined;
}
