import type { DatabaseSync } from 'node:sqlite';

/**
 * The expiry of a durable record: the last integer that JavaScript holds exactly. A number rather than NULL, so that
 * one comparison and one index serve both kinds of record.
 */
export const DURABLE = Number.MAX_SAFE_INTEGER;

/**
 * `indexes` is a JSON array of names, NULL for none. The triggers keep `members` equal to it inside the very statement
 * that writes the record, so every verb of the port stays one statement.
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

/** Members that have no record, and so nothing that takes them out but their expiry. */
const ENTRIES = `
  CREATE TABLE entries (
    name TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (name, expires_at, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX entries_by_expiry ON entries (expires_at);
`;

/** The statements that each schema version added. Opening an older file runs those that it lacks. */
const VERSIONS = [RECORDS, ENTRIES];

/** Brings an empty or older file to this version's tables. @throws Error when a newer Latchkey has written the file */
export function prepareSchema(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    const found = database.prepare('PRAGMA user_version').get()?.['user_version'];
    if (Number(found) > VERSIONS.length) {
      throw new Error(
        `the store has schema version ${String(found)}, this Latchkey reads ${VERSIONS.length}: start the newer one`,
      );
    }
    for (const step of VERSIONS.slice(Number(found))) database.exec(step);
    database.exec(`PRAGMA user_version = ${VERSIONS.length}; COMMIT`);
  } catch (error) {
    // Half a version would be taken for none by the next start.
    database.exec('ROLLBACK');
    throw error;
  }
}
