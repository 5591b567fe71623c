import { createPrivateKey, generateKeyPairSync, randomBytes, sign, type KeyPairKeyObjectResult } from 'node:crypto';

/** ASN.1 DER, as much of it as a certificate needs: tag, length, content. */
function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  // The shortest form, as browsers demand.
  const long = content.length < 256 ? [0x81] : [0x82, content.length >> 8];
  const length = content.length < 128 ? [content.length] : [...long, content.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const utcTime = (text: string): Buffer => der(0x17, Buffer.from(text));
const SIGNATURES = {
  'ec sha256': sequence(oid('2a8648ce3d040302')),
  'ec sha1': sequence(oid('2a8648ce3d0401')),
  'rsa sha256': sequence(oid('2a864886f70d01010b'), der(0x05)),
  'rsa sha1': sequence(oid('2a864886f70d010105'), der(0x05)),
  'rsa md5': sequence(oid('2a864886f70d010104'), der(0x05)),
};
const TRUE = der(0x01, Buffer.from([0xff]));
const SUBJECT_ALT_NAME = oid('551d11');

export interface Certificate {
  /** PEM. */
  cert: string;
  /** PEM, PKCS #8. */
  key: string;
}

export interface Subject {
  /** Attributes in the order of the certificate: country first, common name last. */
  name: readonly (readonly [type: 'C' | 'O' | 'CN', value: string])[];
  dns?: string;
  uri?: string;
  email?: string;
  ip?: readonly number[];
  isAuthority?: boolean;
  /** `YYMMDDHHMMSSZ` */
  until?: string;
  /** More extensions: the object identifier in hex, and the value. */
  more?: readonly (readonly [oid: string, criticality: 'critical' | 'not critical', value: Uint8Array])[];
  /** Its own key; of P-256 without it. */
  keys?: KeyPairKeyObjectResult;
  /** What its issuer signs it with. */
  hash?: 'sha256' | 'sha1' | 'md5';
}

/** Values of extensions (RFC 5280 §4.2.1), and how they are named. */
export const EXTENSION = {
  keyUsage: '551d0f',
  extendedKeyUsage: '551d25',
  nameConstraints: '551d1e',
  /** Of nobody. */
  unknown: '2a0304',
  usage: (bits: number): Buffer => der(0x03, Buffer.from([0, bits])),
  purposes: (...hex: readonly string[]): Buffer => sequence(...hex.map(oid)),
};

const ATTRIBUTES = { C: '550406', O: '55040a', CN: '550403' };
const BASIC_CONSTRAINTS = oid('551d13');

/** A certificate (RFC 5280) by an issuer, or by itself. */
export function certificateFor(subject: Subject, issuer?: Certificate & { subject: Subject }): Certificate {
  const { publicKey, privateKey } = subject.keys ?? generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = issuer === undefined ? privateKey : createPrivateKey(issuer.key);
  const hash = subject.hash ?? 'sha256';
  const algorithm = SIGNATURES[`${signer.asymmetricKeyType ?? ''} ${hash}` as keyof typeof SIGNATURES];
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1]), randomBytes(8)),
    algorithm,
    nameOf(issuer?.subject ?? subject),
    sequence(utcTime('200101000000Z'), utcTime(subject.until ?? '491231235959Z')),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions(subject))),
  );
  const signature = der(0x03, Buffer.from([0]), sign(hash, body, signer));
  const base64 = sequence(body, algorithm, signature)
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function nameOf({ name }: Subject): Buffer {
  const attributes = name.map(([type, value]) =>
    der(0x31, sequence(oid(ATTRIBUTES[type]), der(type === 'C' ? 0x13 : 0x0c, Buffer.from(value)))),
  );
  return sequence(...attributes);
}

function extensions({ dns, uri, email, ip, isAuthority = false, more = [] }: Subject): Buffer[] {
  const names = [
    ...(email === undefined ? [] : [der(0x81, Buffer.from(email))]),
    ...(dns === undefined ? [] : [der(0x82, Buffer.from(dns))]),
    ...(uri === undefined ? [] : [der(0x86, Buffer.from(uri))]),
    ...(ip === undefined ? [] : [der(0x87, Buffer.from(ip))]),
  ];
  return [
    sequence(BASIC_CONSTRAINTS, der(0x04, sequence(...(isAuthority ? [TRUE] : [])))),
    ...(names.length === 0 ? [] : [sequence(SUBJECT_ALT_NAME, der(0x04, sequence(...names)))]),
    ...more.map(([name, criticality, value]) =>
      sequence(oid(name), ...(criticality === 'critical' ? [TRUE] : []), der(0x04, value)),
    ),
  ];
}

/** A self-signed certificate for `localhost`, good for decades, and its key. */
export function selfSignedCertificate(): Certificate {
  return certificateFor({ name: [['CN', 'localhost']], dns: 'localhost' });
}
