import { X509Certificate } from 'node:crypto';
import type { Context } from 'koa';

/** The certificate that the caller holds the key of (RFC 8705), seen through the proxies that the operator trusts; set by the host. */
export function clientCertificate(context: Pick<Context, 'state'>): X509Certificate | undefined {
  const certificate: unknown = context.state['clientCertificate'];
  return certificate instanceof X509Certificate ? certificate : undefined;
}

/**
 * Reads a certificate as proxies write it into a header: base64 between colons (RFC 9440 §2.2), base64 alone, or PEM,
 * which nginx escapes as in a URL.
 * @returns undefined for anything else
 */
export function certificateFromHeader(value: string): X509Certificate | undefined {
  try {
    const text = value.includes('%') ? decodeURIComponent(value) : value;
    const base64 = text.replace(/-----(?:BEGIN|END) CERTIFICATE-----|^:|:$|\s/g, '');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
    return new X509Certificate(Buffer.from(base64, 'base64'));
  } catch {
    return undefined;
  }
}
