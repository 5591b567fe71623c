import type { StatementSync, DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../lib/clock.ts';

/** Rows per table and sweep: few, because a sweep blocks the event loop and holds the write lock. */
const BATCH = 200;
/** Milliseconds until the next sweep: after one that found little, and after one that found a full batch. */
const IDLE = 10_000;
const BACKLOG = 50;

/** Deletes expired rows in the background, a small batch at a time. @returns a function that stops it */
export function startSweeper(sweeps: readonly StatementSync[], clock: Clock): () => void {
  let timer = setTimeout(next, IDLE).unref();

  function next(): void {
    timer = setTimeout(next, sweep(sweeps, clock.now()) ? BACKLOG : IDLE).unref();
  }

  return () => {
    clearTimeout(timer);
  };
}

/** Deletes one batch of rows that had expired by `now`. @returns whether there may be more */
export function sweep(sweeps: readonly StatementSync[], now: number): boolean {
  try {
    const deleted = sweeps.map((statement) => Number(statement.run(now, BATCH).changes));
    return deleted.includes(BATCH);
  } catch {
    // Another process holds the lock, or the file is missing. Expired rows count as absent until the next sweep.
    // `health` reports a broken file.
    return false;
  }
}

/** Milliseconds from one checkpoint to the next. */
const PERIOD = 60_000;

/**
 * Writes the log (`-wal`) into the file, at once and then each minute. SQLite by itself waits for a thousand pages, so
 * a small server's file would be out of date for days.
 * @returns a function that stops it
 */
export function startCheckpoints(database: DatabaseSync): () => void {
  checkpoint(database);
  const timer = setInterval(checkpoint, PERIOD, database).unref();
  return () => {
    clearInterval(timer);
  };
}

/** Does not wait: pages that others are reading are left for the next checkpoint. */
export function checkpoint(database: DatabaseSync): void {
  try {
    database.exec('PRAGMA wal_checkpoint(PASSIVE)');
  } catch {
    // The file is missing or full; the next write reports that.
  }
}
