import { inBatches } from '../batches.ts';
import type { Item } from '../store.ts';
import { keyIn, namesIn, rowNames } from './names.ts';
import type { Primary } from './primary.ts';
import type { Read } from './server.ts';
import { DURABLE } from './statements.ts';

/** Number of rows in a page, small enough to hold in memory. */
const PAGE = 200;
/** Time limit for each statement of a dump or a load, in milliseconds. */
const PATIENCE = 10_000;

type Row = Record<string, unknown>;

/**
 * The tables. `id` lists the columns that identify a row and sort the pages; `columns` lists those that make up an
 * item.
 */
const TABLES = {
  records: { id: ['key'], columns: 'key, whole, names, value, version, consumed_at, expires_at' },
  entries: { id: ['name', 'expires_at', 'key'], columns: 'key, whole, name, ARRAY[name] AS names, expires_at' },
  counters: { id: ['key'], columns: 'key, whole, sum, expires_at' },
  bitmaps: { id: ['key'], columns: 'key, whole, bits, expires_at' },
};

/**
 * Reads one table after another in key order, with one statement for each page, in one snapshot of the database. Until
 * the end, the server's vacuum removes no row that has changed meanwhile.
 */
export function dumpPostgres(primary: Primary, schema: string, now: number): AsyncGenerator<readonly Item[]> {
  return primary.snapshot(PATIENCE, (read) => inBatches(itemsOf(read, schema, now)));
}

async function* itemsOf(read: Read, schema: string, now: number): AsyncGenerator<Item> {
  for (const [table, { id, columns }] of Object.entries(TABLES)) {
    const placeholders = id.map((_name, at) => `$${at + 3}`).join(', ');
    const first = `SELECT ${columns} FROM "${schema}".${table} WHERE expires_at > $1`;
    const order = `ORDER BY ${id.join(', ')} LIMIT $2`;
    const next = `${first} AND (${id.join(', ')}) > (${placeholders}) ${order}`;
    let rows = await read(`${first} ${order}`, [now, PAGE]);
    while (rows.length > 0) {
      for (const row of rows) yield itemOf(table, row);
      const last = rows.at(-1);
      rows = rows.length < PAGE ? [] : await read(next, [now, PAGE, ...id.map((name) => last?.[name])]);
    }
  }
}

function itemOf(table: string, row: Row): Item {
  const key = keyIn(row);
  const expiresAt = Number(row['expires_at']);
  const { bits, consumed_at: consumedAt } = row;
  switch (table) {
    case 'records':
      return {
        kind: 'record',
        key,
        json: String(row['value']),
        version: Number(row['version']),
        ...(consumedAt !== null && { consumedAt: Number(consumedAt) }),
        ...(expiresAt !== DURABLE && { expiresAt }),
        ...namesIn(row),
      };
    case 'entries':
      return { kind: 'member', index: namesIn(row).indexes?.[0] ?? '', key, expiresAt };
    case 'counters':
      return { kind: 'counter', key, sum: Number(row['sum']), expiresAt };
    default:
      return { kind: 'bitmap', key, bits: Buffer.isBuffer(bits) ? bits : Buffer.alloc(0), expiresAt };
  }
}

/** Writes items in one transaction, in a fixed order, so that two loads cannot deadlock. */
export async function loadItems(primary: Primary, schema: string, items: readonly Item[], now: number): Promise<void> {
  const unexpired = items.filter(({ expiresAt = DURABLE }) => now < expiresAt);
  const inOrder = unexpired.toSorted((a, b) => (`${a.kind} ${a.key}` < `${b.kind} ${b.key}` ? -1 : 1));
  await primary.transaction(PATIENCE, async (run) => {
    for (const item of inOrder) {
      const { table, row, id } = rowOf(item);
      const columns = Object.keys(row);
      const changes = columns.map((column) => `${column} = excluded.${column}`).join(', ');
      await run(
        `INSERT INTO "${schema}".${table} (${columns.join(', ')}) VALUES (${columns.map((_column, at) => `$${at + 1}`).join(', ')})
         ON CONFLICT (${id.join(', ')}) DO UPDATE SET ${changes}`,
        Object.values(row),
      );
    }
  });
}

function rowOf(item: Item): { table: string; row: Row; id: readonly string[] } {
  const { key, expiresAt = DURABLE } = item;
  switch (item.kind) {
    case 'record': {
      const { json: value, version, consumedAt = null } = item;
      const row = { ...rowNames(key, item), value, version, consumed_at: consumedAt, expires_at: expiresAt };
      return { table: 'records', row, id: TABLES.records.id };
    }
    case 'member': {
      const { names, ...row } = rowNames(key, { indexes: [item.index] });
      return { table: 'entries', row: { ...row, name: names?.[0], expires_at: expiresAt }, id: TABLES.entries.id };
    }
    case 'counter':
      return {
        table: 'counters',
        row: { ...bareNames(key), sum: item.sum, expires_at: expiresAt },
        id: TABLES.counters.id,
      };
    case 'bitmap':
      return {
        table: 'bitmaps',
        row: { ...bareNames(key), bits: item.bits, expires_at: expiresAt },
        id: TABLES.bitmaps.id,
      };
  }
}

function bareNames(name: string): { key: string; whole: string | null } {
  const { key, whole } = rowNames(name);
  return { key, whole };
}
