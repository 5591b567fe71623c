import { domainToASCII } from 'node:url';

/**
 * Tells whether normalisation or lower case turns a non-ASCII character of the text into an ASCII one, as U+212A
 * (kelvin) becomes `k`. Two different addresses would then compare as equal.
 */
function foldsIntoAscii(text: string): boolean {
  return [...text].some(
    (character) => character > '\x7F' && /\p{ASCII}/u.test(character.normalize('NFKC').toLowerCase()),
  );
}

/** Limits of RFC 5321 §4.5.3.1: 64 octets before the at sign, 254 in all (256 with the angle brackets of a path). */
const LONGEST = 254;
const LONGEST_LOCAL_PART = 64;

/** HTML's pattern of a "valid email address", in lower case. */
const LOCAL_PART = /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]+$/;
const DOMAIN = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;
/** A domain in Unicode, before its labels become A-labels. It has no escapes, which the conversion would decode. */
const UNICODE_DOMAIN = /^[\p{L}\p{M}\p{N}\p{Join_Control}.\u3002\u00B7\u30FB-]+$/u;

/**
 * Returns an email address in the only form in which it is stored and compared. The whole address is in lower case. RFC
 * 5321 would let `Ann@` and `ann@` be two people, but common mail services do not, and people would confuse the two.
 * The domain is in its A-label form (RFC 5890), as mail programs send it. A character that becomes ASCII only by
 * normalisation or lower case, such as U+212A, is refused, because the resulting address may be another person's.
 * @returns the address, or `undefined` if the text is not an email address
 */
export function normaliseEmail(text: string): string | undefined {
  const trimmed = text.trim();
  const at = trimmed.lastIndexOf('@');
  if (at < 1 || at > LONGEST_LOCAL_PART || foldsIntoAscii(trimmed)) return undefined;
  const local = trimmed.slice(0, at).toLowerCase();
  const domain = asciiDomain(trimmed.slice(at + 1)).toLowerCase();
  if (!LOCAL_PART.test(local) || !DOMAIN.test(domain)) return undefined;
  const email = `${local}@${domain}`;
  return email.length <= LONGEST ? email : undefined;
}

function asciiDomain(domain: string): string {
  if (!/\P{ASCII}/u.test(domain)) return domain;
  return UNICODE_DOMAIN.test(domain) ? domainToASCII(domain) : '';
}
