import type { StatementSync, DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../lib/clock.ts';

/**
 * Maximum number of rows per table and sweep. It is small, because a sweep blocks the event loop and holds the write
 * lock.
 */
const BATCH = 200;
/** Milliseconds until the next sweep if none of the batches was full. */
const IDLE = 10_000;
/**
 * If a batch was full, the pause until the next sweep is so many times the duration of the last one, and at least so
 * many milliseconds. A backlog of any rate is thus deleted with a fifth of the process's time.
 */
const REST = 4;
const LEAST_PAUSE = 5;
/** Milliseconds until the next sweep after one that failed, for example because another process wrote. */
const RETRY = 500;

/** Deletes expired rows in the background, in small batches. @returns a function that stops the sweeper */
export function startSweeper(sweeps: readonly StatementSync[], clock: Clock): () => void {
  let timer = setTimeout(next, IDLE).unref();

  function next(): void {
    const begin = performance.now();
    const isBacklog = sweep(sweeps, clock.now());
    const pause = Math.max(LEAST_PAUSE, REST * (performance.now() - begin));
    timer = setTimeout(next, isBacklog === undefined ? RETRY : isBacklog ? pause : IDLE).unref();
  }

  return () => {
    clearTimeout(timer);
  };
}

/** Deletes one batch of expired rows from each table. @returns whether there may be more; undefined if it failed */
export function sweep(sweeps: readonly StatementSync[], now: number): boolean | undefined {
  try {
    const deleted = sweeps.map((statement) => Number(statement.run(now, BATCH).changes));
    return deleted.includes(BATCH);
  } catch {
    // Another process holds the lock, or the file is missing. Expired rows count as absent until the next sweep.
    // `health` reports a broken file.
    return undefined;
  }
}

/** Milliseconds from one checkpoint to the next. */
const PERIOD = 60_000;

/**
 * Moves the log (`-wal`) into the database file, at once and then every minute. SQLite alone waits until the log has a
 * thousand pages, so the file of a small server could be out of date for days.
 * @returns a function that stops the checkpoints
 */
export function startCheckpoints(database: DatabaseSync): () => void {
  checkpoint(database);
  const timer = setInterval(checkpoint, PERIOD, database).unref();
  return () => {
    clearInterval(timer);
  };
}

/** Runs one checkpoint without waiting. It leaves pages that others are reading to the next checkpoint. */
export function checkpoint(database: DatabaseSync): void {
  try {
    database.exec('PRAGMA wal_checkpoint(PASSIVE)');
  } catch {
    // The file is missing or full; the next write reports that.
  }
}
