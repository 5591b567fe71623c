import { setTimeout as sleep } from 'node:timers/promises';
import { StoreUnavailable } from '../store.ts';

/** SQLite's primary result codes for a lock that another process holds (https://sqlite.org/rescode.html). */
const BUSY = new Set([5, 6]);
/**
 * Result codes of an unusable file: read-only, I/O error, corrupt, full, cannot open, not a database. SQLite has no
 * code for a closed database; see `isOutage`.
 */
const BROKEN = new Set([8, 10, 11, 13, 14, 26]);
/** Codes of a damaged file, which must be repaired and reopened: corrupt, not a database. */
const DAMAGED = new Set([11, 26]);

/** Longest total wait for other processes, in milliseconds. */
const PATIENCE = 2000;
const LONGEST_WAIT = 50;

/**
 * Runs one atomic statement, and retries while other processes hold the lock. It does not block the event loop.
 * @throws StoreUnavailable if the lock stays or the file is broken; any other error is a bug and passes through
 */
export async function withRetry<T>(statement: () => T): Promise<T> {
  for (let wait = 1, waited = 0; ; waited += wait, wait = Math.min(wait * 2, LONGEST_WAIT)) {
    try {
      return statement();
    } catch (error) {
      if (!isBusy(error))
        throw isOutage(error)
          ? new StoreUnavailable(`SQLite: ${error.message}${adviceOn(error)}`, { cause: error })
          : error;
      if (waited >= PATIENCE) throw new StoreUnavailable('SQLite: another process holds the lock', { cause: error });
    }
    await sleep(wait);
  }
}

function isBusy(error: unknown): boolean {
  return BUSY.has(resultCode(error));
}

function isOutage(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return BROKEN.has(resultCode(error)) || ('code' in error && error.code === 'ERR_INVALID_STATE');
}

function adviceOn(error: Error): string {
  if (!DAMAGED.has(resultCode(error))) return '';
  return '; stop every server that uses the file, repair it or put a copy in its place, and start again';
}

/** SQLite's primary result code; 0 for any other error. */
function resultCode(error: unknown): number {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : 0;
  return typeof code === 'number' ? code & 0xff : 0;
}
