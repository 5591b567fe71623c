import { readFileSync } from 'node:fs';
import { DEMO_PASSWORD } from '../config/loading/secret-strength.ts';
import type { Weakness } from './strength.ts';

/** Longest password, in code points. NIST SP 800-63B §3.1.1.2 requires at least 64. */
const LONGEST = 256;
/** Length below which a repeated piece is trivial to guess. */
const TRIVIAL_PIECE = 8;
/** Length below which the characters beside a person's own words add nothing against guessing. */
const TRIVIAL_REST = 5;
const SEPARATORS = /[\s.@_-]+/g;

export type PasswordProblem =
  | 'published'
  | 'too-short'
  | 'too-long'
  | 'common'
  | 'like-your-email'
  | 'like-your-name'
  | 'like-this-service'
  | 'breached'
  | Weakness;

interface PasswordContext {
  email: string;
  name: string;
  /** The server's name on its pages. */
  service: string;
}

/**
 * Normalises a password for measuring and hashing, so that it is the same from every keyboard (NIST SP 800-63B
 * §3.1.1.2: NFKC, UAX #15 §12.1). Nothing is cut off or trimmed.
 */
export function normalisePassword(password: string): string {
  return password.normalize('NFKC');
}

/** Tells whether this is the demo's password, which the documents publish. */
export function isPublished(password: string): boolean {
  return normalisePassword(password).toLowerCase() === DEMO_PASSWORD;
}

export function isTooLong(normalised: string): boolean {
  return [...normalised].length > LONGEST;
}

/**
 * Applies the cheap rules of NIST SP 800-63B §3.1.1.2: length in code points, a list of common passwords, and words of
 * the context. It demands no kinds of characters. A password passes if it contains such a word beside enough other
 * text.
 */
export function passwordProblem(
  password: string,
  rules: { minLength: number; common: CommonPasswords; context: PasswordContext },
): PasswordProblem | undefined {
  const normalised = normalisePassword(password);
  if ([...normalised].length < rules.minLength) return 'too-short';
  if (isTooLong(normalised)) return 'too-long';
  const text = normalised.toLowerCase();
  if (isCommon(text, rules.common)) return 'common';
  if (consistsOf(wordsOf(rules.context.email), text)) return 'like-your-email';
  if (consistsOf(wordsOf(rules.context.name), text)) return 'like-your-name';
  return consistsOf(wordsOf(rules.context.service), text) ? 'like-this-service' : undefined;
}

function isCommon(text: string, common: CommonPasswords): boolean {
  const piece = repeatedPiece(text);
  const isTrivial = piece.length < TRIVIAL_PIECE && piece.length * 2 <= text.length;
  return isTrivial || isStraightRun(piece) || common.has(text) || common.has(piece);
}

/**
 * Returns the piece that a text repeats: `password` for `passwordpassword`, and `1234567890` for `123456789012345`.
 * Returns the whole text if nothing repeats.
 */
function repeatedPiece(text: string): string {
  for (let length = 1; length < text.length; length += 1) {
    if (text.startsWith(text.slice(length))) return text.slice(0, length);
  }
  return text;
}

/** Tells whether a text is a run such as `abcdefgh` or `87654321`. */
function isStraightRun(text: string): boolean {
  const codes = Array.from({ length: text.length }, (_, position) => text.charCodeAt(position));
  return [1, -1].some((step) =>
    codes.every((code, position) => position === 0 || code - (codes[position - 1] ?? 0) === step),
  );
}

/** Lists the words of the person's name, their email address and the service's name, which an attacker tries first. */
export function ownWords({ email, name, service }: PasswordContext): string[] {
  return [email, name, service].flatMap(wordsOf);
}

function wordsOf(text: string): string[] {
  const whole = normalisePassword(text).toLowerCase();
  const words = whole.split(/[^\p{L}\p{M}\p{N}]+/u).filter((word) => word.length > 2);
  return [...new Set([whole, ...words])].filter((word) => word !== '').toSorted((a, b) => b.length - a.length);
}

/**
 * Tells whether a text consists of these words and separators, apart from at most four other characters:
 * `ann.smith-2024` does.
 */
function consistsOf(words: readonly string[], text: string): boolean {
  const rest = words.reduce((left, word) => left.replaceAll(word, ''), text);
  if (rest === text) return false;
  return rest.replace(SEPARATORS, '').length < TRIVIAL_REST;
}

const LIST = '@zxcvbn-ts/language-common/src/passwords.json';

interface CommonPasswords {
  /** Compares the whole password, in lower case. */
  has(password: string): boolean;
}

/**
 * Reads the 49,000 most common passwords of public breaches. The file is searched as one text, which takes half a
 * megabyte, and a tenth of a millisecond for each new password. A set of strings would hold several megabytes
 * permanently.
 */
export function readCommonPasswords(): CommonPasswords {
  const text = readFileSync(new URL(import.meta.resolve(LIST)), 'utf8');
  return { has: (password) => text.includes(JSON.stringify(password.toLowerCase())) };
}

/** Page texts for the problems of a new password. */
export function passwordWords(minLength: number): Record<PasswordProblem, string> {
  return {
    published: 'This is the password of the Latchkey demo, which everybody knows. Choose another.',
    'too-short': `Use at least ${String(minLength)} characters. A few words in a row work well.`,
    'too-long': 'Use at most 256 characters.',
    common: 'This is one of the first passwords that anybody tries. Choose another.',
    'near-common': 'This is close to a password that many people use. Choose another.',
    'keyboard-row': 'Keys that lie next to each other are easy to guess. Choose another password.',
    repeats: 'Repeated characters or words are easy to guess. Choose another password.',
    sequence: 'Sequences such as abc or 1234 are easy to guess. Choose another password.',
    date: 'Dates and years are easy to guess. Choose another password.',
    'own-words':
      'This says little more than your name, your email address or the name of this service. Choose another.',
    guessable: 'This is easy to guess. A few unrelated words in a row are hard to guess.',
    breached: 'This password is known from a data breach, so attackers try it. Choose another.',
    'like-your-email': 'This is too close to your email address. Choose another.',
    'like-your-name': 'This is too close to your name. Choose another.',
    'like-this-service': 'This is too close to the name of this service. Choose another.',
  };
}
