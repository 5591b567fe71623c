import { hash, X509Certificate } from 'node:crypto';
import type { ApiRequest } from './api-request.ts';
import { InvalidToken } from './errors.ts';
import { isSameText } from './same-text.ts';

/** Where a proxy ends TLS: the client's certificate as the proxy hands it on, DER or PEM; nothing without one. */
export type CertificateOf = (request: ApiRequest) => Uint8Array | string | undefined;

/**
 * Checks that the client shows the certificate that the token is bound to (RFC 8705 §3.1).
 * @throws InvalidToken
 */
export function checkCertificate(request: ApiRequest, thumbprint: string, certificateOf?: CertificateOf): void {
  const shown = certificateOf === undefined ? request.certificate?.() : certificateOf(request);
  if (shown === undefined || !isSameText(thumbprintOf(shown), thumbprint)) throw new InvalidToken('certificate');
}

function thumbprintOf(certificate: Uint8Array | string): string {
  try {
    const der = typeof certificate === 'string' ? new X509Certificate(certificate).raw : certificate;
    return hash('sha256', der, 'base64url');
  } catch (cause) {
    throw new InvalidToken('certificate', { cause });
  }
}
