import type { X509Certificate } from 'node:crypto';
import { isIP, SocketAddress } from 'node:net';

/** Alternative names that RFC 8705 §2.1.2 may compare, and Node's labels for them. */
const ALTERNATIVE_NAMES: Record<string, string> = {
  tls_client_auth_san_dns: 'DNS',
  tls_client_auth_san_uri: 'URI',
  tls_client_auth_san_ip: 'IP Address',
  tls_client_auth_san_email: 'email',
};

/** Tells whether a certificate has exactly the name that a client registered (RFC 8705 §2.1.2). */
export function isNamed(certificate: X509Certificate, property: string, expected: string): boolean {
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
