import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import { decodeCursor, encodeCursor } from '../cursor.ts';
import type { Index, Page } from '../store.ts';
import { TickBatcher } from '../tick-batcher.ts';
import type { Connection } from './connect.ts';

/** Ends a key within an entry; sorts before any character, so that entries sort as their keys. */
const SEPARATOR = '\0';

/** A member that has no record: the index, its expiry and its entry. */
interface Enlisted {
  index: string;
  entry: [expiresAt: number, entry: string];
}

/**
 * Index entries of records. Index and record are different keys and cannot change in one step, so every write has its
 * own entries, `KEY \0 WRITE`. They are written before the record, and removing those of an older or lost write never
 * touches another's. A crash leaves an entry too many, never one too few.
 */
export class Memberships {
  readonly #connection: Pick<Connection, 'reader' | 'writer' | 'watch'>;
  readonly #clock: Clock;
  /** Tells this process's entries from every other's. */
  readonly #writer: string;
  #writes = 0;
  readonly #enlisted = new TickBatcher<Enlisted>((enlisted) => this.#enter(enlisted));

  constructor(connection: Pick<Connection, 'reader' | 'writer' | 'watch'>, clock: Clock, random: Random) {
    this.#connection = connection;
    this.#clock = clock;
    this.#writer = random.bytes(9).toString('base64url');
  }

  /** Adds index entries for a coming write. @returns the memberships that the record stores, for their later removal */
  async enter(key: string, indexes: readonly string[] | undefined, expiresAt: number | ''): Promise<string> {
    if (indexes === undefined || indexes.length === 0) return '';
    const names = [...new Set(indexes)];
    const entry = `${key}${SEPARATOR}${this.#writer}${(this.#writes++).toString(36)}`;
    const score = expiresAt === '' ? '+inf' : expiresAt;
    const now = this.#clock.now();
    const { watch, writer } = this.#connection;
    await Promise.all(names.map((name) => watch.confirmed(writer.indexEnter(indexKey(name), now, score, entry))));
    return JSON.stringify([entry, ...names]);
  }

  /** Adds a member without a record, which only expires. */
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
    await Promise.allSettled(names.map((name) => watch.confirmed(writer.indexLeave(indexKey(name), now, entry))));
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
}

function indexKey(name: string): string {
  return `index:${name}`;
}

function keyOf(entry: string): string {
  return entry.slice(0, entry.lastIndexOf(SEPARATOR));
}

function parseStrings(text: string): string[] {
  const parsed: unknown = JSON.parse(text);
  return Array.isArray(parsed) ? parsed.map(String) : [];
}
