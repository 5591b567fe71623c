/**
 * Tells whether the text has a character beyond ASCII that normalisation or lower case makes an ASCII one, as U+212A (kelvin)
 * becomes `k`. Two names that differ in nothing else would be compared as equal.
 */
export function foldsIntoAscii(text: string): boolean {
  return [...text].some(
    (character) => character > '\x7F' && /\p{ASCII}/u.test(character.normalize('NFKC').toLowerCase()),
  );
}
