import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as nextRound } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { StoreUnavailable, type Item, type Store } from '../../src/storage/store.ts';
import { until } from '../support/until.ts';

/** People that are written at once, and how many such batches are under way: PostgreSQL has ten connections. */
const BATCH = 200;
const AT_ONCE = 8;
/** What lives shorter than this is no part of a person who is signed in, in milliseconds. */
const LASTING = 7_200_000;
const PATIENCE = 120_000;

/** The parts of which each person who is signed in has one. */
const PARTS = ['account', 'session', 'grant'] as const;
export type Part = (typeof PARTS)[number];

/** An item as text, cut where names of this person stand: text, name, text, name, text. */
interface Mould {
  item: Item;
  pieces: readonly string[];
}

/** Copies a person who has really signed in, under other names. What is sealed stays as it is, and is as long. */
export class PersonCopier {
  readonly #moulds: Readonly<Record<Part, readonly Mould[]>>;

  private constructor(moulds: Record<Part, readonly Mould[]>) {
    this.#moulds = moulds;
  }

  /** Finds somebody with a refresh token. */
  static async of(store: Store): Promise<PersonCopier> {
    const found: Item[] = [];
    const lasts = (await store.time()) + LASTING;
    for await (const batch of store.dump())
      found.push(...batch.filter(({ expiresAt = Infinity }) => expiresAt > lasts));
    const one = (kind: string, mentioned = ''): Item =>
      found.find((item) => kindOf(item) === kind && textOf(item).includes(mentioned)) ??
      assert.fail(`no ${kind} of ${mentioned}`);
    const token = one('refresh-token');
    const grantId = nameOf('indexes' in token ? (token.indexes ?? []) : [], 'tokens-of-grant');
    const grant = one('grant', grantId);
    const account = nameOf('indexes' in grant ? (grant.indexes ?? []) : [], 'grants-of-account');
    const durable = found.filter((item) => item.expiresAt === undefined && textOf(item).includes(account));
    const parts: Record<Part, Item[]> = {
      account: durable,
      session: [one('session', account), one('session-cookie')],
      grant: [grant, token],
    };
    const names = namesOf(PARTS.flatMap((part) => parts[part]));
    const mouldsOf = (part: Part) => parts[part].map((item) => ({ item, pieces: textOf(item).split(names) }));
    return new PersonCopier({
      account: mouldsOf('account'),
      session: mouldsOf('session'),
      grant: mouldsOf('grant'),
    });
  }

  copy(part: Part, number: number, expiresAt?: number): Item[] {
    return this.#moulds[part].map(({ item, pieces }) => {
      const text = pieces.map((piece, at) => (at % 2 === 0 ? piece : otherName(piece, number))).join('');
      const copied = { ...item, ...(JSON.parse(text) as object) };
      return expiresAt === undefined ? copied : { ...copied, expiresAt };
    });
  }

  /** Writes people under the numbers from one to the other. */
  async fill(store: Store, part: Part, range: { from: number; to: number; expiresAt?: number }): Promise<void> {
    let next = range.from;
    const fillOn = async () => {
      while (next < range.to) {
        const begin = next;
        next = Math.min(begin + BATCH, range.to);
        const numbers = Array.from({ length: next - begin }, (_, at) => begin + at);
        const items = numbers.flatMap((number) => this.copy(part, number, range.expiresAt));
        await load(store, items);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, fillOn));
  }
}

/** Writes items, again where a busy machine let the store be late. Lets the store sweep in between. */
export async function load(store: Store, items: readonly Item[]): Promise<void> {
  await nextRound();
  await until(
    () =>
      store.load(items).then(
        () => true,
        (error: unknown) => {
          assert.ok(error instanceof StoreUnavailable, String(error));
          return false;
        },
      ),
    PATIENCE,
  );
}

function kindOf({ key }: Item): string {
  return key.slice(0, key.indexOf(':'));
}

/** What differs from person to person. */
function textOf(item: Item): string {
  if (item.kind !== 'record') return JSON.stringify({ key: item.key });
  const { key, json, indexes, terms } = item;
  return JSON.stringify({ key, json, ...(indexes && { indexes }), ...(terms && { terms }) });
}

function nameOf(indexes: readonly string[], index: string): string {
  return indexes.find((name) => name.startsWith(`${index}:`))?.slice(index.length + 1) ?? assert.fail(index);
}

/** Matches every name of a person: what follows the kind in a key, and the text of each term. */
function namesOf(items: readonly Item[]): RegExp {
  const names = items.flatMap((item) => [
    ...item.key.split(':').slice(1),
    ...('terms' in item ? (item.terms ?? []) : []).map((term) => term.slice(term.indexOf(':') + 1)),
  ]);
  const escaped = [...new Set(names)]
    .filter(({ length }) => length >= 16)
    .map((name) => name.replace(/[^\w]/g, '\\$&'));
  return new RegExp(`(${escaped.join('|')})`);
}

/** As long as the name that it replaces. Ids follow in time, as real ones do, and hashes are in no order. */
function otherName(name: string, number: number): string {
  if (/^[a-z]+_/.test(name)) return `${name.slice(0, -10)}${number.toString(36).padStart(10, '0')}`;
  const hash = createHash('sha512').update(`${name} ${number}`).digest('base64url');
  return hash.repeat(Math.ceil(name.length / hash.length)).slice(0, name.length);
}

/** What a store takes, in bytes and in rows or keys. */
export interface Size {
  bytes: number;
  rows: number;
}

const TABLES = ['records', 'members', 'entries', 'counters', 'bitmaps'];

/** The size without what is free: SQLite reuses free pages, and PostgreSQL's is that after a vacuum. */
export async function sizeOf(url: string): Promise<Size> {
  if (url.startsWith('sqlite:')) return sizeOfSqlite(url.slice('sqlite:'.length));
  return url.startsWith('postgres:') ? sizeOfPostgres(url) : sizeOfRedis(url);
}

function sizeOfSqlite(path: string): Size {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 10_000 });
  const pragma = (name: string): number => Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
  const rows = TABLES.map((name) => Number(database.prepare(`SELECT count(*) AS rows FROM ${name}`).get()?.['rows']));
  const bytes = (pragma('page_count') - pragma('freelist_count')) * pragma('page_size');
  database.close();
  return { bytes, rows: rows.reduce((sum, each) => sum + each, 0) };
}

async function sizeOfPostgres(url: string): Promise<Size> {
  const client = new Client(url);
  await client.connect();
  try {
    for (const table of TABLES) await client.query(`VACUUM latchkey.${table}`);
    const columns = TABLES.map(
      (name) =>
        `(SELECT count(*) FROM latchkey.${name}) + 0 AS ${name}, pg_total_relation_size('latchkey.${name}') AS b_${name}`,
    );
    const [row = {}] = (await client.query<Record<string, unknown>>(`SELECT ${columns.join(', ')}`)).rows;
    const sum = (prefix: string) => TABLES.reduce((total, name) => total + Number(row[prefix + name]), 0);
    return { bytes: sum('b_'), rows: sum('') };
  } finally {
    await client.end();
  }
}

async function sizeOfRedis(url: string): Promise<Size> {
  const client = new Redis(url);
  try {
    const memory = await client.info('memory');
    return { bytes: Number(/^used_memory:(\d+)/m.exec(memory)?.[1]), rows: await client.dbsize() };
  } finally {
    client.disconnect();
  }
}
