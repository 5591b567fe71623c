import { DatabaseSync } from 'node:sqlite';
import { inBatches } from '../batches.ts';
import { StoreUnavailable, type Item } from '../store.ts';
import { DURABLE } from './open-database.ts';
import type { Statements } from './statements.ts';
import { readNames, storedNames } from './terms.ts';

/** Longest wait for other processes that are recovering the file, in milliseconds. */
const PATIENCE = 10_000;

/**
 * Reads a snapshot of the file. A read transaction on a separate connection preserves the snapshot while others write.
 * Meanwhile the log (`-wal`) grows.
 */
export async function* dumpDatabase(path: string, now: number): AsyncGenerator<readonly Item[]> {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: PATIENCE });
    database.exec('BEGIN');
    yield* inBatches(itemsOf(database, now));
  } catch (error) {
    if (!(error instanceof Error && 'errcode' in error)) throw error;
    throw new StoreUnavailable(`SQLite: ${error.message}`, { cause: error });
  } finally {
    database?.close();
  }
}

function* itemsOf(database: DatabaseSync, now: number): Generator<Item> {
  const rows = (columns: string, table: string) =>
    database.prepare(`SELECT ${columns}, expires_at FROM ${table} WHERE expires_at > ?`).iterate(now);
  for (const row of rows('key, value, version, consumed_at, indexes', 'records')) {
    const { consumed_at: consumedAt, expires_at: expiresAt, indexes } = row;
    yield {
      kind: 'record',
      key: String(row['key']),
      json: String(row['value']),
      version: Number(row['version']),
      ...(consumedAt !== null && { consumedAt: Number(consumedAt) }),
      ...(expiresAt !== DURABLE && { expiresAt: Number(expiresAt) }),
      ...readNames(typeof indexes === 'string' ? indexes : null),
    };
  }
  for (const row of rows('name, key', 'entries')) {
    const [index, key, expiresAt] = [String(row['name']), String(row['key']), Number(row['expires_at'])];
    yield { kind: 'member', index, key, expiresAt };
  }
  for (const row of rows('key, sum', 'counters')) {
    yield {
      kind: 'counter',
      key: String(row['key']),
      sum: Number(row['sum']),
      expiresAt: Number(row['expires_at']),
    };
  }
  for (const { key, bits, expires_at: expiresAt } of rows('key, bits', 'bitmaps')) {
    const bytes = bits instanceof Uint8Array ? Buffer.from(bits) : Buffer.alloc(0);
    yield { kind: 'bitmap', key: String(key), bits: bytes, expiresAt: Number(expiresAt) };
  }
}

/** Writes items in one transaction. */
export function loadItems(database: DatabaseSync, statements: Statements, items: readonly Item[], now: number): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    for (const item of items) if (now < (item.expiresAt ?? DURABLE)) loadItem(statements, item);
    database.exec('COMMIT');
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}

function loadItem({ loads: { loadRecord, loadCounter, loadBitmap }, enlist }: Statements, item: Item): void {
  switch (item.kind) {
    case 'record': {
      const { key, json, version, consumedAt = null, expiresAt = DURABLE } = item;
      loadRecord.run(key, json, version, consumedAt, expiresAt, storedNames(item));
      return;
    }
    case 'member':
      enlist.run(JSON.stringify([[item.index, item.expiresAt, item.key]]));
      return;
    case 'counter':
      loadCounter.run(item.key, item.sum, item.expiresAt);
      return;
    case 'bitmap':
      loadBitmap.run(item.key, item.bits, item.expiresAt);
  }
}
