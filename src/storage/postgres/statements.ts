/** A statement, and the name under which a connection keeps it prepared. */
export interface Statement {
  name: string;
  text: string;
}

/**
 * The expiry of a durable record: the largest integer that JavaScript represents exactly. With a number instead of
 * NULL, one comparison and one index serve durable and expiring records alike.
 */
export const DURABLE = Number.MAX_SAFE_INTEGER;

/** The tables from which expired rows are deleted, and the columns that identify a row. */
const SWEPT = { records: 'key', entries: 'name, expires_at, key', counters: 'key', bitmaps: 'key' };

/** Returns all statements of the store. Each is one operation of the port, and is atomic under READ COMMITTED. */
export function statementsOf(name: string) {
  const schema = `"${name}"`;
  return {
    ...named(reads(schema), name),
    ...named(writes(schema), name),
    sweeps: Object.values(named(sweeps(schema), name)),
  };
}

/** Statements that read. Each also returns whether a replica answered, so that a failover is noticed. */
function reads(schema: string) {
  const page = (table: string) => `
    (SELECT key, whole, expires_at FROM ${schema}.${table}
     WHERE name = $1 AND (expires_at, key) > ($2, $3) AND expires_at > $4 ORDER BY expires_at, key LIMIT $5)`;
  return {
    read: `
      SELECT pg_is_in_recovery() AS standby, value, version, consumed_at, expires_at
      FROM unnest($1::text[]) WITH ORDINALITY AS wanted (key, at)
      LEFT JOIN ${schema}.records ON records.key = wanted.key ORDER BY wanted.at`,
    members: `
      SELECT pg_is_in_recovery() AS standby, found.* FROM (VALUES (1)) AS once LEFT JOIN
        (${page('members')} UNION ${page('entries')} ORDER BY expires_at, key LIMIT $5) AS found ON true
      ORDER BY expires_at, key`,
    range: `
      SELECT pg_is_in_recovery() AS standby, found.* FROM (VALUES (1)) AS once LEFT JOIN
        (SELECT name, expires_at, key, whole FROM ${schema}.members
         WHERE (name, expires_at, key) > ($1, $2, $3) AND name < $4 AND expires_at > $5
         ORDER BY name, expires_at, key LIMIT $6) AS found ON true
      ORDER BY name, expires_at, key`,
    read_bits: `
      SELECT pg_is_in_recovery() AS standby,
        (SELECT bits FROM ${schema}.bitmaps WHERE key = $1 AND expires_at > $2) AS bits`,
    time: 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS time, pg_is_in_recovery() AS standby',
    health: `SELECT pg_is_in_recovery() AS standby, count(*) FROM (SELECT 1 FROM ${schema}.records LIMIT 1) AS found`,
  };
}

function writes(schema: string) {
  const insert = `
    INSERT INTO ${schema}.records (key, names, whole, value, expires_at, version)
    VALUES ($1, $2, $3, $4, $5, floor(random() * 281474976710656)::bigint)
    ON CONFLICT (key) DO UPDATE SET
      value = excluded.value, version = records.version + 1, consumed_at = NULL,
      expires_at = excluded.expires_at, names = excluded.names, whole = excluded.whole`;
  return {
    set: insert,
    create: `${insert} WHERE records.expires_at <= $6`,
    replace: `
      UPDATE ${schema}.records SET names = $2, whole = $3, value = $4, expires_at = $5, version = version + 1
      WHERE key = $1 AND version = $6 AND expires_at > $7`,
    consume: `
      UPDATE ${schema}.records SET consumed_at = $2 WHERE key = $1 AND consumed_at IS NULL AND expires_at > $2`,
    take: `
      DELETE FROM ${schema}.records WHERE key = $1 RETURNING value, version, consumed_at, expires_at`,
    enlist: `
      INSERT INTO ${schema}.entries (name, expires_at, key, whole)
      SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) AS given (name, expires_at, key, whole)
      ORDER BY name, expires_at, key ON CONFLICT DO NOTHING`,
    increment: `
      INSERT INTO ${schema}.counters (key, whole, sum, expires_at) VALUES ($1, $2, $3, $4)
      ON CONFLICT (key) DO UPDATE SET
        sum = CASE WHEN counters.expires_at > $5 THEN counters.sum ELSE 0 END + excluded.sum,
        expires_at = CASE WHEN counters.expires_at > $5 THEN counters.expires_at ELSE excluded.expires_at END
      RETURNING sum`,
    set_bits: `
      INSERT INTO ${schema}.bitmaps (key, whole, bits, expires_at) VALUES ($1, $2, ${schema}.with_bits('', $3::integer[]), $4)
      ON CONFLICT (key) DO UPDATE SET
        bits = ${schema}.with_bits(CASE WHEN bitmaps.expires_at > $5 THEN bitmaps.bits ELSE '' END, $3::integer[]),
        expires_at = excluded.expires_at`,
    publish: 'SELECT pg_notify($1, $2)',
  };
}

/**
 * Statements that delete expired rows. They also compare with the server's own clock, because a caller's clock may be
 * fast.
 */
function sweeps(schema: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(SWEPT).map(([table, id]) => [
      `sweep_${table}`,
      `DELETE FROM ${schema}.${table} WHERE (${id}) IN (
         SELECT ${id} FROM ${schema}.${table}
         WHERE expires_at <= least($1::bigint, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
         ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)`,
    ]),
  );
}

function named<Name extends string>(texts: Record<Name, string>, prefix: string): Record<Name, Statement> {
  const entries = Object.entries<string>(texts).map(([name, text]) => [name, { name: `${prefix}_${name}`, text }]);
  return Object.fromEntries(entries) as Record<Name, Statement>; // keeps the names of `texts`
}

export type Statements = ReturnType<typeof statementsOf>;
