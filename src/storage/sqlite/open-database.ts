import { closeSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { codeOf, makeFolder } from '../../lib/file-system.ts';
import { StoreUnavailable } from '../store.ts';

/**
 * The expiry of a durable record: the largest integer that JavaScript represents exactly. With a number instead of
 * NULL, one comparison and one index serve durable and expiring records alike.
 */
export const DURABLE = Number.MAX_SAFE_INTEGER;

/**
 * The first schema version. `indexes` is a JSON array of names, or NULL. The triggers update `members` within the
 * statement that writes the record, so every operation of the port is one statement.
 */
const RECORDS = `
  CREATE TABLE records (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    version INTEGER NOT NULL,
    consumed_at INTEGER,
    expires_at INTEGER NOT NULL,
    indexes TEXT
  ) STRICT;
  CREATE INDEX records_by_expiry ON records (expires_at);

  CREATE TABLE members (
    name TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (name, expires_at, key)
  ) STRICT, WITHOUT ROWID;

  CREATE TRIGGER record_added AFTER INSERT ON records WHEN NEW.indexes IS NOT NULL BEGIN
    INSERT INTO members SELECT value, NEW.expires_at, NEW.key FROM json_each(NEW.indexes);
  END;
  CREATE TRIGGER record_removed AFTER DELETE ON records WHEN OLD.indexes IS NOT NULL BEGIN
    DELETE FROM members
      WHERE expires_at = OLD.expires_at AND key = OLD.key AND name IN (SELECT value FROM json_each(OLD.indexes));
  END;
  CREATE TRIGGER record_moved AFTER UPDATE ON records
    WHEN OLD.indexes IS NOT NEW.indexes OR (NEW.indexes IS NOT NULL AND OLD.expires_at <> NEW.expires_at) BEGIN
    DELETE FROM members
      WHERE expires_at = OLD.expires_at AND key = OLD.key AND name IN (SELECT value FROM json_each(OLD.indexes));
    INSERT INTO members SELECT value, NEW.expires_at, NEW.key FROM json_each(NEW.indexes);
  END;

  CREATE TABLE counters (key TEXT NOT NULL PRIMARY KEY, sum INTEGER NOT NULL, expires_at INTEGER NOT NULL) STRICT;
  CREATE INDEX counters_by_expiry ON counters (expires_at);
  CREATE TABLE bitmaps (key TEXT NOT NULL PRIMARY KEY, bits BLOB NOT NULL, expires_at INTEGER NOT NULL) STRICT;
  CREATE INDEX bitmaps_by_expiry ON bitmaps (expires_at);
  CREATE TABLE hints (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    message TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX hints_by_expiry ON hints (expires_at);
`;

/** The table of members that have no record. Only their expiry removes them. */
const ENTRIES = `
  CREATE TABLE entries (
    name TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (name, expires_at, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX entries_by_expiry ON entries (expires_at);
`;

/** The statements of each schema version. Opening an older file runs the missing ones. */
const VERSIONS = [RECORDS, ENTRIES];

/**
 * Updates the tables of an empty or older file to this version.
 * @throws Error if a newer Latchkey has written the file
 */
function prepareSchema(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    const found = database.prepare('PRAGMA user_version').get()?.['user_version'];
    if (Number(found) > VERSIONS.length) {
      throw new Error(
        `the store has schema version ${String(found)}, but this version of Latchkey reads only ${VERSIONS.length}: start a newer version`,
      );
    }
    for (const step of VERSIONS.slice(Number(found))) database.exec(step);
    database.exec(`PRAGMA user_version = ${VERSIONS.length}; COMMIT`);
  } catch (error) {
    // Undoes the incomplete version, so that the next start runs all of its statements.
    database.exec('ROLLBACK');
    throw error;
  }
}

/** Longest wait in milliseconds while other processes open the file. */
const OPENING_PATIENCE = 10_000;

/**
 * Longest time in milliseconds that one statement may block the event loop while another process writes. A write takes
 * tens of microseconds, so the limit is seldom reached. After it, `withRetry` waits asynchronously.
 */
const BUSY_TIMEOUT = 5;

/**
 * Opens the file. A new file is readable by its owner alone.
 *
 * With `synchronous = NORMAL` in WAL mode, each commit hands its data to the operating system without an fsync. A
 * killed process loses nothing that it has acknowledged. A power failure may lose the last writes, but does not damage
 * the file. With `FULL`, each write would cost an fsync, which blocks the event loop for milliseconds.
 *
 * With `secure_delete`, deleted records are overwritten with zeros. Otherwise their text would stay in free pages until
 * the pages are used again. This costs a twentieth of the CPU time of a delete.
 *
 * @throws Error that names the file and the remedy
 */
export function openDatabase(path: string): DatabaseSync {
  makeFile(path);
  const database = new DatabaseSync(path, { timeout: OPENING_PATIENCE });
  try {
    database.exec('PRAGMA journal_mode = WAL');
    database.exec('PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216; PRAGMA secure_delete = ON');
    prepareSchema(database);
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT}`);
    return database;
  } catch (error) {
    database.close();
    throw isNoDatabase(error)
      ? new Error(`sqlite:${path} is not a database: ${NAME_ANOTHER_FILE}`, { cause: error })
      : error;
  }
}

const NAME_ANOTHER_FILE = 'name another file in stores.grants, stores.records or LATCHKEY_STORE';

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
      EROFS: 'its file system is read-only',
      ENOSPC: 'the disk is full',
    };
    const code = codeOf(error);
    const reason = reasons[code] ?? 'its folder cannot be created';
    throw new Error(`sqlite:${path} cannot be opened: ${reason} (${code}); ${NAME_ANOTHER_FILE}`, { cause: error });
  }
}

/** SQLITE_NOTADB: the file is not an SQLite database (https://sqlite.org/rescode.html#notadb). */
function isNoDatabase(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 26;
}

/** Milliseconds for which reads trust the last check. */
const CHECK_INTERVAL = 50;

/**
 * Checks that the open database is still the file at its path. A removed or replaced file can still be read and
 * written, but other processes and the next start find another file or none. The check covers the log (`-wal`), because
 * it holds the latest writes.
 */
export class FileIdentity {
  readonly #path: string;
  readonly #inodes: (number | undefined)[];
  /** Time of the last check, in milliseconds by a clock that never goes back. */
  #checkedAt = 0;

  constructor(path: string) {
    this.#path = path;
    this.#inodes = this.#look();
  }

  /** Checks again only some time after the last check. For reads: they acknowledge nothing. @throws StoreUnavailable */
  checkSometimes(): void {
    if (performance.now() - this.#checkedAt > CHECK_INTERVAL) this.check();
  }

  /** @throws StoreUnavailable */
  check(): void {
    const found = this.#look();
    this.#checkedAt = performance.now();
    if (found.every((inode, at) => inode === this.#inodes[at])) return;
    this.#checkedAt = -Infinity;
    throw new StoreUnavailable(
      `the file ${this.#path} or its -wal was removed or replaced while it was in use: stop every server that uses it, ` +
        'put the original file back without the -wal and -shm of another file, and start again',
    );
  }

  #look(): (number | undefined)[] {
    return [this.#path, `${this.#path}-wal`].map((path) => statSync(path, { throwIfNoEntry: false })?.ino);
  }
}
