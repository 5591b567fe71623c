import type { ApiRequest } from './api-request.ts';
import { InvalidToken } from './errors.ts';
import { isSameText, sha256 } from './bytes.ts';

/** Returns the client certificate that a TLS-terminating proxy forwarded, as DER or PEM; undefined without one. */
export type CertificateOf = (request: ApiRequest) => Uint8Array | string | undefined;

/** Checks that the client presents the certificate that the token is bound to (RFC 8705 §3.1). @throws InvalidToken */
export async function checkCertificate(
  request: ApiRequest,
  thumbprint: string,
  certificateOf?: CertificateOf,
): Promise<void> {
  const shown = certificateOf === undefined ? request.certificate?.() : certificateOf(request);
  if (shown === undefined || !isSameText(await sha256(derOf(shown)), thumbprint)) throw new InvalidToken('certificate');
}

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/;

/** Converts a certificate to DER. Of a PEM text, it takes the first certificate. @throws InvalidToken */
function derOf(certificate: Uint8Array | string): Uint8Array<ArrayBuffer> {
  if (typeof certificate !== 'string') return new Uint8Array(certificate);
  try {
    const [, base64 = ''] = PEM.exec(certificate) ?? [];
    const der = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    if (der.length > 0) return der;
  } catch (cause) {
    throw new InvalidToken('certificate', { cause });
  }
  throw new InvalidToken('certificate');
}
