/**
 * Appends response parameters to a registered redirect URI. Its own query stays byte for byte (RFC 6749 §3.1.2), which
 * the URL class does not guarantee.
 */
export function withParameters(uri: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined) as [string, string][];
  const added = new URLSearchParams(given).toString();
  // Only the parts that are no valid header text are re-encoded.
  const own = /^[\x21-\x7E]+$/.test(uri) ? uri : new URL(uri).href;
  if (added === '') return own;
  if (!own.includes('?')) return `${own}?${added}`;
  return /[?&]$/.test(own) ? `${own}${added}` : `${own}&${added}`;
}
