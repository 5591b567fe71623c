import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { prepareSchema } from './schema.ts';

/** Longest wait for the file to open, in milliseconds, while other processes open it. */
const OPENING_PATIENCE = 10_000;

/**
 * Longest time in milliseconds that one statement may block the event loop while another process writes. A write takes
 * tens of microseconds, so the limit is seldom reached; `withRetry` waits for the rest asynchronously.
 */
const BUSY_TIMEOUT = 5;

/**
 * Opens the file, made private to its owner when it is new.
 *
 * `synchronous = NORMAL` in WAL mode hands each commit to the operating system without an fsync: nothing acknowledged is
 * lost when the process is killed, the last moments may be lost when the machine loses power, and the file is sound
 * either way. FULL would cost an fsync per write, milliseconds with the event loop held.
 */
export function openDatabase(path: string): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600));
  const database = new DatabaseSync(path, { timeout: OPENING_PATIENCE });
  try {
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216');
    prepareSchema(database);
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
