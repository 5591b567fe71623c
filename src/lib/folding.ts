/**
 * Tells whether normalisation or lower case turns a non-ASCII character of the text into an ASCII one, as U+212A
 * (kelvin) becomes `k`. Two different names would then compare as equal.
 */
export function foldsIntoAscii(text: string): boolean {
  return [...text].some(
    (character) => character > '\x7F' && /\p{ASCII}/u.test(character.normalize('NFKC').toLowerCase()),
  );
}
