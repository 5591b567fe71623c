/** A position in an index: the expiry (`Infinity` if durable) and the name of the last member that was returned. */
interface Position {
  expiresAt: number;
  name: string;
}

const CURSOR = /^(\d{1,16}|Infinity)\.([\w-]*)$/;
/** The greatest Unicode character. No key begins with it. */
const LAST_NAME = '\u{10FFFF}';

/** Encodes a position as an opaque string that is safe in a URL. */
export function encodeCursor({ expiresAt, name }: Position): string {
  return `${String(expiresAt)}.${Buffer.from(name).toString('base64url')}`;
}

/** Decodes a cursor, which may come from an untrusted client. An invalid cursor counts as the end of the index. */
export function decodeCursor(cursor: string): Position {
  const [, expiry, name] = CURSOR.exec(cursor) ?? [];
  if (expiry === undefined || name === undefined) return { expiresAt: Infinity, name: LAST_NAME };
  return { expiresAt: Number(expiry), name: Buffer.from(name, 'base64url').toString() };
}

/** A position in an order: the last term that was returned, and the expiry and key of its record. */
interface TermPosition {
  /** The term without the name of its order. */
  text: string;
  expiresAt: number;
  key: string;
}

/** Separates the parts of a position. It sorts before any other character, so positions sort part by part. */
export const SEPARATOR = '\0';
/** Number of digits to which an expiry is padded, so that its text sorts like the number. */
const DIGITS = 16;

/** Writes a position as text that sorts by term, then expiry, then key. */
export function positionText({ text, expiresAt, key }: TermPosition): string {
  return [text, String(expiresAt).padStart(DIGITS, '0'), key].join(SEPARATOR);
}

export function readPosition(position: string): TermPosition {
  const [text = '', expiresAt = '', ...key] = position.split(SEPARATOR);
  return { text, expiresAt: Number(expiresAt), key: key.join(SEPARATOR) };
}

/**
 * Decodes a cursor, which may come from an untrusted client.
 * @returns the position; undefined if the cursor is invalid or its position is not under the prefix
 */
export function decodeTermCursor(cursor: string, prefix: string): string | undefined {
  const position = Buffer.from(cursor, 'base64url').toString();
  return position.startsWith(prefix) && /\0\d{16}\0/.test(position) ? position : undefined;
}

export function encodeTermCursor(position: string): string {
  return Buffer.from(position).toString('base64url');
}

/** Splits a term into the name of its order and the rest. @throws Error for a term without a name or with a NUL */
export function splitTerm(term: string): { order: string; text: string } {
  const colon = term.indexOf(':');
  if (colon < 1 || term.includes(SEPARATOR)) throw new Error('a term begins with the name of its order and has no NUL');
  return { order: term.slice(0, colon), text: term.slice(colon + 1) };
}
