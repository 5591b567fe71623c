import type { DatabaseSync } from 'node:sqlite';

/** Milliseconds from one checkpoint to the next. */
const PERIOD = 60_000;

/**
 * Moves what the log (`-wal`) holds into the file itself: at once, and then each minute. SQLite does so only after a
 * thousand pages, so that the file of a small server would stay empty for days. @returns the way to stop
 */
export function startCheckpoints(database: DatabaseSync): () => void {
  checkpoint(database);
  const timer = setInterval(checkpoint, PERIOD, database).unref();
  return () => {
    clearInterval(timer);
  };
}

/** Waits for nobody: what others are reading is left for the next time. */
export function checkpoint(database: DatabaseSync): void {
  try {
    database.exec('PRAGMA wal_checkpoint(PASSIVE)');
  } catch {
    // The file is away or full, which the next write tells.
  }
}
