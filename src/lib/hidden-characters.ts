/**
 * Characters that are invisible, break a line or change the reading direction, and so make one text look like another.
 * They are those of Unicode Standard Annex #9 §4.3 (bidirectional controls) and Annex #31 §2.3 (default-ignorable), the
 * Braille blank and private-use characters.
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u;
const EACH_HIDDEN = new RegExp(HIDDEN, 'gu');

/** Tells whether a text contains characters that a reader cannot see. A text on which a person decides must not. */
export function hasHiddenCharacters(text: string): boolean {
  return HIDDEN.test(text);
}

/** Replaces each hidden character by its code point, such as `[U+202E]`. */
export function showHiddenCharacters(text: string): string {
  return text.replace(EACH_HIDDEN, (character) => {
    const number = character.codePointAt(0) ?? 0;
    return `[U+${number.toString(16).toUpperCase().padStart(4, '0')}]`;
  });
}

/** Shortens an untrusted text for a page or a log line, and replaces control and invisible characters by U+FFFD. */
export function printable(text: string, longest = 100): string {
  const plain = text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '\uFFFD');
  const characters = [...plain.slice(0, 2 * longest)];
  return characters.length > longest ? `${characters.slice(0, longest).join('')}…` : plain;
}

/** Quotes a key if a terminal could read more into it than letters: a control character, a line break, a space. */
export function quoted(key: string): string {
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  return JSON.stringify(key).replace(/[^\x20-\x7e]/gu, (one) => `\\u{${one.codePointAt(0)?.toString(16) ?? ''}}`);
}
