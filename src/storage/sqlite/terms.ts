import { decodeTermCursor, encodeTermCursor, positionText, readPosition, splitTerm } from '../cursor.ts';
import type { Key, Term, TermPage, WriteOptions } from '../store.ts';
import type { Statements } from './statements.ts';

/**
 * First character of an index name that stands for a term; no other index begins with it. Members are sorted by the
 * name of their index, so a range of names is a range of terms. The triggers maintain terms like any other index.
 */
const TERM = '\u0001';
/** The greatest Unicode character. */
const LAST = '\u{10FFFF}';

/** Returns the names that a record stores: its indexes, and its terms, which are stored as indexes. */
export function storedNames(options: WriteOptions | undefined): string | null {
  const { indexes = [], terms = [] } = options ?? {};
  if (indexes.length + terms.length === 0) return null;
  for (const term of terms) splitTerm(term);
  return JSON.stringify([...new Set([...indexes, ...terms.map((term) => TERM + term)])].sort());
}

/** Parses stored names: the inverse of `storedNames`. */
export function readNames(names: string | null): Pick<WriteOptions, 'indexes' | 'terms'> {
  const parsed: unknown = names === null ? [] : JSON.parse(names);
  const all = Array.isArray(parsed) ? parsed.map(String) : [];
  const { indexes, terms } = Object.groupBy(all, (name) => (name.startsWith(TERM) ? 'terms' : 'indexes'));
  return {
    ...(indexes !== undefined && { indexes }),
    ...(terms !== undefined && { terms: terms.map((term) => term.slice(TERM.length)) }),
  };
}

export function readRange<T>(
  statements: Pick<Statements, 'range'>,
  prefix: Term<T>,
  { after, limit }: { after?: string | undefined; limit: number },
  now: number,
): TermPage<T> {
  const { order, text } = splitTerm(prefix);
  const position = after === undefined ? positionText({ text, expiresAt: 0, key: '' }) : decodeTermCursor(after, text);
  if (position === undefined) return { found: [] };
  const start = readPosition(position);
  const rows = statements.range.all({
    name: `${TERM}${order}:${start.text}`,
    expiry: start.expiresAt,
    key: start.key,
    end: `${TERM}${prefix}${LAST}`,
    now,
    limit: limit + 1,
  });
  const page = rows.slice(0, limit).map((row) => ({
    term: String(row['name']).slice(TERM.length),
    expiresAt: Number(row['expires_at']),
    key: String(row['key']),
  }));
  const found = page.map(({ term, key }): { term: Term<T>; key: Key<T> } => ({ term, key }));
  const last = rows.length > limit ? page.at(-1) : undefined;
  if (last === undefined) return { found };
  return { found, next: encodeTermCursor(positionText({ ...last, text: splitTerm(last.term).text })) };
}
