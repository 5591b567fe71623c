/** A position in an index: expiry of the last returned member (`Infinity` if durable), and its name. */
export interface Position {
  expiresAt: number;
  name: string;
}

const CURSOR = /^(\d{1,16}|Infinity)\.([\w-]*)$/;
/** The greatest character; no key begins with it. */
const LAST_NAME = '\u{10FFFF}';

/** Writes a position as one opaque word, fit for a URL. */
export function encodeCursor({ expiresAt, name }: Position): string {
  return `${String(expiresAt)}.${Buffer.from(name).toString('base64url')}`;
}

/** Reads a cursor, which may come from a stranger: an invalid one stands behind the last member. */
export function decodeCursor(cursor: string): Position {
  const [, expiry, name] = CURSOR.exec(cursor) ?? [];
  if (expiry === undefined || name === undefined) return { expiresAt: Infinity, name: LAST_NAME };
  return { expiresAt: Number(expiry), name: Buffer.from(name, 'base64url').toString() };
}
