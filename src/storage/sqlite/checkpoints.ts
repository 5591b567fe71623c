import type { DatabaseSync } from 'node:sqlite';

/** Milliseconds from one checkpoint to the next. */
const PERIOD = 60_000;

/**
 * Writes the log (`-wal`) into the file, at once and then each minute. SQLite does so only after a thousand pages, so a
 * small server's file would stay empty for days. @returns a function that stops it
 */
export function startCheckpoints(database: DatabaseSync): () => void {
  checkpoint(database);
  const timer = setInterval(checkpoint, PERIOD, database).unref();
  return () => {
    clearInterval(timer);
  };
}

/** Does not wait: pages that others read are left for the next time. */
export function checkpoint(database: DatabaseSync): void {
  try {
    database.exec('PRAGMA wal_checkpoint(PASSIVE)');
  } catch {
    // The file is missing or full; the next write reports that.
  }
}
