import type { DatabaseSync } from 'node:sqlite';

/**
 * The first version of a record. It is random, so a version that was read before a delete never matches the next
 * record.
 */
const FIRST_VERSION = 'random() & 0xFFFFFFFFFFFF';

const OVERWRITE = `
  value = excluded.value, version = version + 1, consumed_at = NULL,
  expires_at = excluded.expires_at, indexes = excluded.indexes`;

const INSERT = `
  INSERT INTO records (key, value, version, expires_at, indexes) VALUES (?, ?, ${FIRST_VERSION}, ?, ?)
  ON CONFLICT (key) DO UPDATE SET ${OVERWRITE}`;

/** The tables from which expired rows are deleted, and the columns that identify a row. */
const SWEPT = {
  records: 'rowid',
  entries: 'name, expires_at, key',
  counters: 'rowid',
  bitmaps: 'rowid',
  hints: 'rowid',
};

/** All statements of the store, compiled once. Each is one atomic operation of the port. */
export function prepareStatements(database: DatabaseSync) {
  database.function('with_bits', { deterministic: true }, (bytes, offsets) =>
    bytes instanceof Uint8Array ? withBits(bytes, String(offsets).split(',').filter(Boolean).map(Number)) : null,
  );
  return {
    get: database.prepare('SELECT value, version, consumed_at, expires_at FROM records WHERE key = ?'),
    set: database.prepare(INSERT),
    create: database.prepare(`${INSERT} WHERE records.expires_at <= ?`),
    replace: database.prepare(`
      UPDATE records SET value = ?, version = version + 1, expires_at = ?, indexes = ?
      WHERE key = ? AND version = ? AND expires_at > ?`),
    consume: database.prepare(`
      UPDATE records SET consumed_at = ? WHERE key = ? AND consumed_at IS NULL AND expires_at > ?`),
    take: database.prepare('DELETE FROM records WHERE key = ? RETURNING value, version, consumed_at, expires_at'),
    members: database.prepare(`
      SELECT key, expires_at FROM members
      WHERE name = $index AND (expires_at, key) > ($expiry, $name) AND expires_at > $now
      UNION
      SELECT key, expires_at FROM entries
      WHERE name = $index AND (expires_at, key) > ($expiry, $name) AND expires_at > $now
      ORDER BY expires_at, key LIMIT $limit`),
    range: database.prepare(`
      SELECT name, expires_at, key FROM members
      WHERE (name, expires_at, key) > ($name, $expiry, $key) AND name < $end AND expires_at > $now
      ORDER BY name, expires_at, key LIMIT $limit`),
    loads: prepareLoads(database),
    enlist: database.prepare(`
      INSERT INTO entries (name, expires_at, key) SELECT value->>0, value->>1, value->>2 FROM json_each(?)
      WHERE true ON CONFLICT DO NOTHING`),
    increment: database.prepare(`
      INSERT INTO counters (key, sum, expires_at) VALUES (?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET
        sum = iif(expires_at > ?, sum, 0) + excluded.sum,
        expires_at = iif(expires_at > ?, expires_at, excluded.expires_at)
      RETURNING sum`),
    setBits: database.prepare(`
      INSERT INTO bitmaps (key, bits, expires_at) VALUES (?, with_bits(x'', ?), ?)
      ON CONFLICT (key) DO UPDATE SET
        bits = with_bits(iif(bitmaps.expires_at > ?, bits, x''), ?), expires_at = excluded.expires_at`),
    readBits: database.prepare('SELECT bits FROM bitmaps WHERE key = ? AND expires_at > ?'),
    addHint: database.prepare('INSERT INTO hints (channel, message, expires_at) VALUES (?, ?, ?)'),
    lastHint: database.prepare("SELECT coalesce(max(seq), 0) AS id FROM sqlite_sequence WHERE name = 'hints'"),
    hintsAfter: database.prepare('SELECT id, channel, message FROM hints WHERE id > ? ORDER BY id'),
    time: database.prepare("SELECT unixepoch('subsec') * 1000 AS time"),
    health: database.prepare('SELECT 1 FROM records LIMIT 1'),
    sweeps: prepareSweeps(database),
  };
}

function prepareSweeps(database: DatabaseSync) {
  return Object.entries(SWEPT).map(([table, id]) =>
    database.prepare(`
      DELETE FROM ${table} WHERE (${id}) IN (SELECT ${id} FROM ${table} WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`),
  );
}

/** Statements that write dumped items back. */
function prepareLoads(database: DatabaseSync) {
  return {
    loadRecord: database.prepare(`
      INSERT INTO records (key, value, version, consumed_at, expires_at, indexes) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET
        value = excluded.value, version = excluded.version, consumed_at = excluded.consumed_at,
        expires_at = excluded.expires_at, indexes = excluded.indexes`),
    loadCounter: database.prepare('INSERT OR REPLACE INTO counters (key, sum, expires_at) VALUES (?, ?, ?)'),
    loadBitmap: database.prepare('INSERT OR REPLACE INTO bitmaps (key, bits, expires_at) VALUES (?, ?, ?)'),
  };
}

export type Statements = ReturnType<typeof prepareStatements>;

/**
 * Returns the bytes with the bits at these offsets set, and extends them as needed. Bit 0 is the highest bit of byte 0,
 * as in Redis.
 */
function withBits(bytes: Uint8Array, offsets: readonly number[]): Uint8Array {
  const size = offsets.reduce((most, offset) => Math.max(most, (offset >>> 3) + 1), bytes.length);
  const grown = new Uint8Array(size);
  grown.set(bytes);
  for (const offset of offsets) grown[offset >>> 3] = (grown[offset >>> 3] ?? 0) | (0x80 >> (offset & 7));
  return grown;
}
