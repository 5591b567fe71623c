import {
  decodeCursor,
  decodeTermCursor,
  encodeCursor,
  encodeTermCursor,
  positionText,
  readPosition,
  splitTerm,
} from '../cursor.ts';
import type { Index, Key, Page, Term, TermPage } from '../store.ts';
import { keyIn, storedName, storedPrefix, storedTerm, termIn } from './names.ts';
import type { Primary } from './primary.ts';
import { DURABLE, type Statements } from './statements.ts';

/** The greatest Unicode character. */
const LAST = '\u{10FFFF}';

interface PageRequest {
  after: string | undefined;
  limit: number;
}

export async function readMembers<T>(
  primary: Primary,
  statements: Pick<Statements, 'members'>,
  { index, after, limit }: PageRequest & { index: Index<T> },
  now: number,
): Promise<Page<T>> {
  const start = after === undefined ? { expiresAt: 0, name: '' } : decodeCursor(after);
  const expiry = Math.min(start.expiresAt, DURABLE);
  const values = [storedName(index), expiry, storedName(start.name), now, limit + 1];
  const { rows } = await primary.run(statements.members, values);
  const found = rows.filter((row) => row['key'] !== null);
  const keys = found.slice(0, limit).map((row): Key<T> => keyIn(row));
  const last = found.length > limit ? found[limit - 1] : undefined;
  if (last === undefined) return { keys };
  const expiresAt = Number(last['expires_at']);
  return { keys, next: encodeCursor({ expiresAt: expiresAt === DURABLE ? Infinity : expiresAt, name: keyIn(last) }) };
}

export async function readRange<T>(
  primary: Primary,
  statements: Pick<Statements, 'range'>,
  { prefix, after, limit }: PageRequest & { prefix: Term<T> },
  now: number,
): Promise<TermPage<T>> {
  const { order, text } = splitTerm(prefix);
  const position = after === undefined ? positionText({ text, expiresAt: 0, key: '' }) : decodeTermCursor(after, text);
  if (position === undefined) return { found: [] };
  const start = readPosition(position);
  const end = storedPrefix(prefix);
  const first = after === undefined ? end : storedTerm(`${order}:${start.text}`);
  const values = [first, start.expiresAt, storedName(start.key), `${end}${LAST}`, now, limit + 1];
  const { rows } = await primary.run(statements.range, values);
  const all = rows.filter((row) => row['key'] !== null);
  const page = all
    .slice(0, limit)
    .map((row) => ({ term: termIn(row), expiresAt: Number(row['expires_at']), key: keyIn(row) }));
  const found = page.map(({ term, key }): { term: Term<T>; key: Key<T> } => ({ term, key }));
  const last = all.length > limit ? page.at(-1) : undefined;
  if (last === undefined) return { found };
  return { found, next: encodeTermCursor(positionText({ ...last, text: splitTerm(last.term).text })) };
}
