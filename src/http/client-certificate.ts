import { X509Certificate } from 'node:crypto';
import type { Context } from 'koa';

/** Returns the certificate whose key the caller holds (RFC 8705), seen through trusted proxies; set by the host. */
export function clientCertificate(context: Pick<Context, 'state'>): X509Certificate | undefined {
  const certificate: unknown = context.state['clientCertificate'];
  return certificate instanceof X509Certificate ? certificate : undefined;
}

/**
 * Parses a certificate header of a proxy: base64 between colons (RFC 9440 §2.2), plain base64, or PEM, which nginx
 * percent-encodes. @returns undefined for anything else
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
