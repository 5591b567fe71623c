import { base64url } from 'jose';

// This module uses only Web APIs, for runtimes without `node:crypto` and `Buffer`.
const encoder = new TextEncoder();

/** Returns the SHA-256 hash in base64url. */
export async function sha256(data: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const bytes = typeof data === 'string' ? encoder.encode(data) : data;
  return base64url.encode(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}

/** Decodes chunks as UTF-8. */
export function textOf(chunks: readonly Uint8Array[]): string {
  const decoder = new TextDecoder();
  return chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join('') + decoder.decode();
}

/** Compares two texts in constant time. Only texts of different lengths return early. */
export function isSameText(one: string, other: string): boolean {
  const [a, b] = [encoder.encode(one), encoder.encode(other)];
  if (a.length !== b.length) return false;
  let different = 0;
  for (const [at, byte] of a.entries()) different |= byte ^ (b[at] ?? 0);
  return different === 0;
}

/**
 * Inflates zlib data (RFC 1950).
 * @param limit largest result in bytes
 * @throws Error if the data is malformed, or the result is larger than the limit
 */
export async function inflate(data: Uint8Array<ArrayBuffer>, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = new Blob([data]).stream().pipeThrough(new DecompressionStream('deflate')).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > limit) {
      reader.cancel().catch(() => undefined);
      throw new Error(`More than ${limit} bytes`);
    }
    chunks.push(value);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
