/**
 * Characters that are invisible, break a line or change the reading direction, so that a text passes for another.
 * Unicode Standard Annex #9 §4.3 (bidirectional controls) and Annex #31 §2.3 (default-ignorable), besides the Braille
 * blank and private-use characters.
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u;
const EACH_HIDDEN = new RegExp(HIDDEN, 'gu');

/** Checks an app's text on which a person decides: it must show all that it contains. */
export function hasHiddenCharacters(text: string): boolean {
  return HIDDEN.test(text);
}

/** Replaces each hidden character by its number, such as `[U+202E]`. */
export function showHiddenCharacters(text: string): string {
  return text.replace(EACH_HIDDEN, (character) => {
    const number = character.codePointAt(0) ?? 0;
    return `[U+${number.toString(16).toUpperCase().padStart(4, '0')}]`;
  });
}

/** Shortens a stranger's text for a page or a log line, and removes control, invisible and direction characters. */
export function printable(text: string, longest = 100): string {
  const plain = text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '\uFFFD');
  const characters = [...plain.slice(0, 2 * longest)];
  return characters.length > longest ? `${characters.slice(0, longest).join('')}…` : plain;
}
