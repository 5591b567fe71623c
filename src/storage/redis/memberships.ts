import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import {
  decodeCursor,
  decodeTermCursor,
  encodeCursor,
  encodeTermCursor,
  positionText,
  readPosition,
  SEPARATOR,
  splitTerm,
} from '../cursor.ts';
import type { Index, Key, Page, Term, TermPage, WriteOptions } from '../store.ts';
import { TickBatcher } from '../tick-batcher.ts';
import type { Connection } from './connect.ts';

/** First character of a term in a record's memberships. The expiry in 16 digits follows, and then the term itself. */
const TERM = '\u0001';
const DIGITS = 16;
/** The expiry of a durable record in a term. */
const DURABLE = Number.MAX_SAFE_INTEGER;

/** A member that has no record: the index, its expiry and its entry. */
interface Enlisted {
  index: string;
  entry: [expiresAt: number, entry: string];
}

/**
 * Index entries of records. An index and a record are different keys, which cannot change in one step. Every write
 * therefore has its own entries, `KEY \0 WRITE`, and adds them before it writes the record. Removing the entries of an
 * older or failed write never removes those of another. A crash can leave a superfluous entry, but no entry is ever
 * missing.
 */
export class Memberships {
  readonly #connection: Pick<Connection, 'reader' | 'writer' | 'watch'>;
  readonly #clock: Clock;
  /** Distinguishes this process's entries from those of others. */
  readonly #writer: string;
  #writes = 0;
  readonly #enlisted = new TickBatcher<Enlisted>((enlisted) => this.#enter(enlisted));

  constructor(connection: Pick<Connection, 'reader' | 'writer' | 'watch'>, clock: Clock, random: Random) {
    this.#connection = connection;
    this.#clock = clock;
    this.#writer = random.bytes(9).toString('base64url');
  }

  /**
   * Adds the index entries and terms of the write that follows.
   * @param life lifetime of the record in milliseconds
   * @returns the memberships, which the record stores so that `leave` can remove them
   */
  async enter(key: string, named: WriteOptions | undefined, expiresAt: number | '', life: number): Promise<string> {
    const indexes = [...new Set(named?.indexes)];
    const terms = [...new Set(named?.terms)];
    if (indexes.length + terms.length === 0) return '';
    const entry = `${key}${SEPARATOR}${this.#writer}${(this.#writes++).toString(36)}`;
    const score = expiresAt === '' ? '+inf' : expiresAt;
    const expiry = String(expiresAt === '' ? DURABLE : Math.ceil(expiresAt)).padStart(DIGITS, '0');
    const stored = [entry, ...indexes, ...terms.map((term) => `${TERM}${expiry}${term}`)];
    const now = this.#clock.now();
    const ttl = expiresAt === '' ? 0 : Math.max(1, life);
    const { watch, writer } = this.#connection;
    await Promise.all([
      ...indexes.map((name) => watch.confirmed(writer.indexEnter(indexKey(name), now, score, entry))),
      ...[...Map.groupBy(terms, (term) => orderKey(splitTerm(term).order))].map(([order, of]) =>
        watch.confirmed(writer.termEnter(order, now, ttl, ...of.map((term) => memberOf(expiry, term, entry)))),
      ),
    ]);
    return JSON.stringify(stored);
  }

  /** Adds a member that has no record. Only its expiry removes it. */
  enlist(index: string, member: string, expiresAt: number): Promise<void> {
    return this.#enlisted.add({ index, entry: [expiresAt, `${member}${SEPARATOR}`] });
  }

  async #enter(enlisted: readonly Enlisted[]): Promise<void> {
    const now = this.#clock.now();
    const { watch, writer } = this.#connection;
    const byIndex = [...Map.groupBy(enlisted, ({ index }) => index)];
    await Promise.all(
      byIndex.map(([index, of]) =>
        watch.confirmed(writer.indexEnter(indexKey(index), now, ...of.flatMap(({ entry }) => entry))),
      ),
    );
  }

  /** Removes a write's entries. A failure does not fail the caller's write, because the entries expire. */
  async leave(memberships: string | null): Promise<void> {
    if (memberships === null || memberships === '') return;
    const [entry = '', ...names] = parseStrings(memberships);
    const now = this.#clock.now();
    const { watch, writer } = this.#connection;
    await Promise.allSettled(
      names.map((name) => {
        if (!name.startsWith(TERM)) return watch.confirmed(writer.indexLeave(indexKey(name), now, entry));
        const { expiry, term } = readTerm(name);
        return watch.confirmed(writer.zrem(orderKey(splitTerm(term).order), memberOf(expiry, term, entry)));
      }),
    );
  }

  async page<T>(index: Index<T>, after: string | undefined, limit: number): Promise<Page<T>> {
    const { expiresAt, name } = after === undefined ? { expiresAt: '', name: '' } : decodeCursor(after);
    const score = expiresAt === Infinity ? '+inf' : String(expiresAt);
    const { watch, reader } = this.#connection;
    const page = reader.indexPage(indexKey(index), this.#clock.now(), score, name, limit + 1);
    const found = await watch.confirmed(page);
    const entries = found.flatMap((entry, at) => (at % 2 === 0 ? [{ entry, score: found[at + 1] }] : []));
    const keys = new Set(entries.slice(0, limit).map(({ entry }) => keyOf(entry)));
    const last = entries.length > limit ? entries[limit - 1] : undefined;
    if (last === undefined) return { keys: [...keys] };
    const lastExpiry = last.score === 'inf' ? Infinity : Number(last.score);
    return { keys: [...keys], next: encodeCursor({ expiresAt: lastExpiry, name: last.entry }) };
  }

  async range<T>(prefix: Term<T>, after: string | undefined, limit: number): Promise<TermPage<T>> {
    const { order, text } = splitTerm(prefix);
    const position = after === undefined ? '' : decodeTermCursor(after, text);
    if (position === undefined) return { found: [] };
    const { watch, reader } = this.#connection;
    const reply = reader.termRange(orderKey(order), this.#clock.now(), text, position, limit);
    const [rest = '', ...members] = await watch.confirmed(reply);
    const page = members.slice(0, limit);
    const found = page.map((member): { term: Term<T>; key: Key<T> } => {
      const { text: ofTerm, key } = readPosition(member);
      return { term: `${order}:${ofTerm}`, key: keyOf(key) };
    });
    const next = members.length > limit ? (page.at(-1) ?? '') : rest;
    return next === '' ? { found } : { found, next: encodeTermCursor(next) };
  }
}

/** Returns the entry of the write that the memberships belong to. */
export function entryIn(memberships: string | null): string | undefined {
  return memberships ? parseStrings(memberships)[0] : undefined;
}

/** Returns the indexes and terms in a record's memberships. */
export function namesIn(memberships: string | null | undefined): Pick<WriteOptions, 'indexes' | 'terms'> {
  const [, ...names] = memberships ? parseStrings(memberships) : [];
  const { indexes, terms } = Object.groupBy(names, (name) => (name.startsWith(TERM) ? 'terms' : 'indexes'));
  return {
    ...(indexes !== undefined && { indexes: indexes.sort() }),
    ...(terms !== undefined && { terms: terms.map((name) => readTerm(name).term).sort() }),
  };
}

const indexKey = (name: string): string => `index:${name}`;
const orderKey = (name: string): string => `order:${name}`;

function readTerm(name: string): { expiry: string; term: string } {
  const begin = TERM.length + DIGITS;
  return { expiry: name.slice(TERM.length, begin), term: name.slice(begin) };
}

/** Returns a member of an order: a position as in `cursor.ts`, whose key is the entry of a write. */
function memberOf(expiry: string, term: string, entry: string): string {
  return positionText({ text: splitTerm(term).text, expiresAt: Number(expiry), key: entry });
}

function keyOf(entry: string): string {
  return entry.slice(0, entry.lastIndexOf(SEPARATOR));
}

function parseStrings(text: string): string[] {
  const parsed: unknown = JSON.parse(text);
  return Array.isArray(parsed) ? parsed.map(String) : [];
}
