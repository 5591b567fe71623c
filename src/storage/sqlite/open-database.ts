import { closeSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { codeOf, makeFolder } from '../../lib/file-system.ts';
import { StoreUnavailable } from '../store.ts';
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
 *
 * @throws Error that names the file and the way out
 */
export function openDatabase(path: string): DatabaseSync {
  makeFile(path);
  const database = new DatabaseSync(path, { timeout: OPENING_PATIENCE });
  try {
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216');
    prepareSchema(database);
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT}`);
    return database;
  } catch (error) {
    database.close();
    throw isForeign(error) ? new Error(`sqlite:${path} is not a database: ${OWN_FILE}`, { cause: error }) : error;
  }
}

const OWN_FILE = 'name another file by stores.grants, stores.records or LATCHKEY_STORE';

function makeFile(path: string): void {
  try {
    makeFolder(dirname(path), 0o700);
    closeSync(openSync(path, 'a', 0o600));
  } catch (error) {
    const reasons: Record<string, string> = {
      EISDIR: 'it is a folder',
      ENOTDIR: 'a part of its path is a file',
      EACCES: 'this user may not write there',
      EPERM: 'this user may not write there',
      EROFS: 'its file system cannot be written',
      ENOSPC: 'the disk is full',
    };
    const code = codeOf(error);
    const reason = reasons[code] ?? 'its folder cannot be made';
    throw new Error(`sqlite:${path} cannot be opened: ${reason} (${code}); ${OWN_FILE}`, { cause: error });
  }
}

/** SQLITE_NOTADB: the file begins with something else (https://sqlite.org/rescode.html#notadb). */
function isForeign(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 26;
}

/**
 * Tells whether the database is still the file of its name. A removed or replaced file still answers, while other
 * processes, and the next start, find another or none. The log beside it (`-wal`) holds the latest writes.
 */
export class FileIdentity {
  readonly #path: string;
  readonly #inodes: (number | undefined)[];

  constructor(path: string) {
    this.#path = path;
    this.#inodes = this.#look();
  }

  /** @throws StoreUnavailable */
  check(): void {
    const found = this.#look();
    if (found.every((inode, at) => inode === this.#inodes[at])) return;
    throw new StoreUnavailable(
      `the file ${this.#path} or its -wal was removed or replaced while it was in use: stop every server that uses it, ` +
        'put the right file back without a -wal and -shm of another, and start again',
    );
  }

  #look(): (number | undefined)[] {
    return [this.#path, `${this.#path}-wal`].map((path) => statSync(path, { throwIfNoEntry: false })?.ino);
  }
}
