import { createHash } from 'node:crypto';
import { splitTerm } from '../cursor.ts';
import type { WriteOptions } from '../store.ts';

/** Maximum length of a stored name in bytes. A B-tree entry holds two names, in at most 2704 bytes. */
const MAX_LENGTH = 1000;
/** Number of bytes that an abbreviated name keeps of its beginning. */
const ABBREVIATED_LENGTH = 800;
/** First character of an escape sequence. The character after it tells which one. */
const ESCAPE = '\u0001';
/** Half a character or escape sequence at the cut. It is removed, because the digest that follows would complete it. */
const INCOMPLETE_END = new RegExp(`[\uFFFD${ESCAPE}]+$`);
const NUL = `${ESCAPE}\u0001`;
const ITSELF = `${ESCAPE}\u0002`;
const DIGEST = `${ESCAPE}\u0003`;
const TERM = `${ESCAPE}\u0004`;

/** The names of a row, as its columns store them. */
interface RowNames {
  key: string;
  /** The row's indexes, and its terms, which are stored as indexes; NULL if there are none. */
  names: string[] | null;
  /** All names in full, as JSON, if a column has an abbreviated name; else NULL. */
  whole: string | null;
}

type Named = Pick<WriteOptions, 'indexes' | 'terms'>;

/** Converts the names of a row for storage. @throws Error for a term without the name of its order */
export function rowNames(key: string, { indexes = [], terms = [] }: Named = {}): RowNames {
  for (const term of terms) splitTerm(term);
  const all = [...indexes.map(storedName), ...terms.map(storedTerm)];
  const names = [...new Set(all)].sort();
  const stored = storedName(key);
  const isWhole = ![stored, ...names].some((name) => name.includes(DIGEST));
  return {
    key: stored,
    names: names.length === 0 ? null : names,
    whole: isWhole ? null : JSON.stringify({ key, indexes, terms }),
  };
}

/**
 * Converts a name to PostgreSQL text, which cannot contain NUL. The order of names stays the same. A name that is too
 * long for a B-tree is abbreviated to its beginning and a digest of the whole.
 */
export function storedName(name: string): string {
  return abbreviated(escaped(name));
}

export function storedTerm(term: string): string {
  return abbreviated(storedPrefix(term));
}

/**
 * Converts a prefix of terms for storage. Members are sorted by the name of their index, so a range of names is a range
 * of terms.
 */
export function storedPrefix(prefix: string): string {
  return `${TERM}${escaped(prefix)}`;
}

/** Reads the key of a row. */
export function keyIn(row: Record<string, unknown>): string {
  return wholeIn(row)?.key ?? readName(String(row['key']));
}

/** Reads the indexes and terms in a row's column `names`. */
export function namesIn(row: Record<string, unknown>): Named {
  const { names } = row;
  if (!Array.isArray(names)) return {};
  const whole = wholeIn(row);
  if (whole !== undefined) return sorted(whole.indexes, whole.terms);
  const [terms, indexes] = [true, false].map((isTerm) =>
    names.map(String).filter((name) => name.startsWith(TERM) === isTerm),
  );
  return sorted(indexes?.map(readName) ?? [], terms?.map(readTerm) ?? []);
}

/** Reads the term in a row's column `name`. */
export function termIn(row: Record<string, unknown>): string {
  const name = String(row['name']);
  return wholeIn(row)?.terms.find((term) => storedTerm(term) === name) ?? readTerm(name);
}

function sorted(indexes: readonly string[], terms: readonly string[]): Named {
  return {
    ...(indexes.length > 0 && { indexes: [...new Set(indexes)].sort() }),
    ...(terms.length > 0 && { terms: [...new Set(terms)].sort() }),
  };
}

function wholeIn({ whole }: Record<string, unknown>): { key: string; indexes: string[]; terms: string[] } | undefined {
  if (typeof whole !== 'string') return undefined;
  return JSON.parse(whole) as { key: string; indexes: string[]; terms: string[] }; // as `rowNames` wrote it
}

function escaped(name: string): string {
  return name.toWellFormed().replaceAll(ESCAPE, ITSELF).replaceAll('\0', NUL);
}

function abbreviated(text: string): string {
  // A UTF-16 code unit takes at most three bytes in UTF-8.
  if (text.length * 3 <= MAX_LENGTH || Buffer.byteLength(text) <= MAX_LENGTH) return text;
  const beginning = Buffer.from(text).subarray(0, ABBREVIATED_LENGTH).toString().replace(INCOMPLETE_END, '');
  return `${beginning}${DIGEST}${createHash('sha256').update(text).digest('hex')}`;
}

function readName(stored: string): string {
  return stored.replaceAll(NUL, '\0').replaceAll(ITSELF, ESCAPE);
}

function readTerm(stored: string): string {
  return readName(stored.slice(TERM.length));
}
