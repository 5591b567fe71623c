/**
 * Characters that show nothing, break a line or turn the reading direction around: with them a text passes for another.
 * Unicode Standard Annex #9 §4.3 (bidirectional controls) and Annex #31 §2.3 (default-ignorable), besides the blank of
 * Braille and what means something only in a private agreement.
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u;
const EACH_HIDDEN = new RegExp(HIDDEN, 'gu');

/** For the text of an app that a person decides on: what it shows must be all that it is. */
export function hasHiddenCharacters(text: string): boolean {
  return HIDDEN.test(text);
}

/** A text in which each hidden character is shown by its number, such as `[U+202E]`. */
export function showHiddenCharacters(text: string): string {
  return text.replace(EACH_HIDDEN, (character) => {
    const number = character.codePointAt(0) ?? 0;
    return `[U+${number.toString(16).toUpperCase().padStart(4, '0')}]`;
  });
}
