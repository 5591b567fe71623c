const LONGEST = 100;

/**
 * Characters that break a line, or that embed, override or isolate a reading direction, so that a name could pass for
 * other text. The marks U+200E, U+200F and U+061C are allowed: they only place a name's own punctuation, and people who
 * write from right to left need them.
 */
const FORBIDDEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u;
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

export type NameProblem = 'empty' | 'too-long' | 'forbidden-character';

/** A person's name as it is stored. */
export function normaliseName(text: string): string {
  return text.normalize('NFC').trim();
}

/** Finds the problem with a name: it needs 1 to 100 code points, a visible one, and no control characters. */
export function nameProblem(text: string): NameProblem | undefined {
  const name = normaliseName(text);
  if (FORBIDDEN.test(name)) return 'forbidden-character';
  if (!VISIBLE.test(name)) return 'empty';
  return [...name].length > LONGEST ? 'too-long' : undefined;
}
