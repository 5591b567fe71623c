import type { DatabaseSync } from 'node:sqlite';

/**
 * The expiry of a durable record: the last integer that JavaScript holds exactly. A number rather than NULL, so that
 * one comparison and one index serve both kinds of record.
 */
export const DURABLE = Number.MAX_SAFE_INTEGER;

const VERSION = 1;

/**
 * `indexes` is a JSON array of names, NULL for none. The triggers keep `members` equal to it inside the very statement
 * that writes the record, so every verb of the port stays one statement.
 */
const SCHEMA = `
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

/** Brings an empty file to this version's tables. @throws Error when a newer Latchkey has written the file */
export function prepareSchema(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    const found = database.prepare('PRAGMA user_version').get()?.['user_version'];
    if (found === 0) database.exec(`${SCHEMA} PRAGMA user_version = ${VERSION}`);
    else if (found !== VERSION) {
      throw new Error(
        `the store has schema version ${String(found)}, this Latchkey reads ${VERSION}: start the newer one`,
      );
    }
  } finally {
    database.exec('COMMIT');
  }
}
