import { z } from 'zod';

/** RFC 5321 §4.5.3.1: 64 octets before the at sign, 254 in all (256 with the angle brackets of a path). */
const LONGEST = 254;
const LONGEST_LOCAL_PART = 64;

/**
 * An email address in the one form in which it is stored and compared. The local part is folded to lower case too:
 * RFC 5321 would let `Ann@` and `ann@` be two people, but no mail service people use does, and they would be
 * mistaken for each other.
 * @returns the address, or `undefined` when the text is none
 */
export function normaliseEmail(text: string): string | undefined {
  const email = text.normalize('NFC').trim().toLowerCase();
  const fits = email.length <= LONGEST && email.indexOf('@') <= LONGEST_LOCAL_PART;
  return fits && z.regexes.html5Email.test(email) ? email : undefined;
}
