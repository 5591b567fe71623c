import type { PostgresUrl } from '../../config/store-url.ts';
import type { Primary } from './primary.ts';

/**
 * The first schema version. `names` lists the record's indexes and terms, or is NULL if there are none. `whole` has all
 * names in full if one of them is abbreviated. The triggers update `members` within the statement that writes the
 * record, so every operation of the port is one statement. A trigger sees rows that others committed while it waited; a
 * common table expression would not.
 *
 * Text is compared by its bytes, so that the order of names does not depend on the database's collation.
 */
const RECORDS = `
  CREATE TABLE @.records (
    key text COLLATE "C" PRIMARY KEY,
    value text NOT NULL,
    version bigint NOT NULL,
    consumed_at bigint,
    expires_at bigint NOT NULL,
    names text[],
    whole text
  ) WITH (autovacuum_vacuum_scale_factor = 0.05);
  CREATE INDEX records_by_expiry ON @.records (expires_at);

  CREATE TABLE @.members (
    name text COLLATE "C",
    expires_at bigint,
    key text COLLATE "C",
    whole text,
    PRIMARY KEY (name, expires_at, key)
  ) WITH (autovacuum_vacuum_scale_factor = 0.05);

  CREATE FUNCTION @.keep_members() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF TG_OP <> 'INSERT' THEN
      DELETE FROM @.members WHERE name = ANY (OLD.names) AND expires_at = OLD.expires_at AND key = OLD.key;
    END IF;
    IF TG_OP <> 'DELETE' THEN
      INSERT INTO @.members (name, expires_at, key, whole)
        SELECT entry, NEW.expires_at, NEW.key, NEW.whole FROM unnest(NEW.names) AS entry;
    END IF;
    RETURN NULL;
  END $$;
  CREATE TRIGGER record_added AFTER INSERT ON @.records FOR EACH ROW
    WHEN (NEW.names IS NOT NULL) EXECUTE FUNCTION @.keep_members();
  CREATE TRIGGER record_removed AFTER DELETE ON @.records FOR EACH ROW
    WHEN (OLD.names IS NOT NULL) EXECUTE FUNCTION @.keep_members();
  CREATE TRIGGER record_moved AFTER UPDATE ON @.records FOR EACH ROW
    WHEN (OLD.names IS DISTINCT FROM NEW.names OR (NEW.names IS NOT NULL AND OLD.expires_at <> NEW.expires_at))
    EXECUTE FUNCTION @.keep_members();

  -- Members without a record. Only their expiry removes them.
  CREATE TABLE @.entries (
    name text COLLATE "C",
    expires_at bigint,
    key text COLLATE "C",
    whole text,
    PRIMARY KEY (name, expires_at, key)
  );
  CREATE INDEX entries_by_expiry ON @.entries (expires_at);

  CREATE TABLE @.counters (key text COLLATE "C" PRIMARY KEY, sum bigint NOT NULL, expires_at bigint NOT NULL, whole text)
    WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
  CREATE INDEX counters_by_expiry ON @.counters (expires_at);

  CREATE TABLE @.bitmaps (key text COLLATE "C" PRIMARY KEY, bits bytea NOT NULL, expires_at bigint NOT NULL, whole text);
  CREATE INDEX bitmaps_by_expiry ON @.bitmaps (expires_at);

  -- Bit 0 is the highest of byte 0, as in Redis; set_bit counts from the lowest of each byte.
  CREATE FUNCTION @.with_bits(bits bytea, offsets integer[]) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
  DECLARE
    size integer := coalesce((SELECT max(place) FROM unnest(offsets) AS place) / 8 + 1, 0);
    place integer;
  BEGIN
    IF size > length(bits) THEN
      bits := bits || decode(repeat('00', size - length(bits)), 'hex');
    END IF;
    FOREACH place IN ARRAY offsets LOOP
      bits := set_bit(bits, place # 7, 1);
    END LOOP;
    RETURN bits;
  END $$;
`;

/** The statements of each schema version; `@` stands for the schema. Opening an older store runs the missing ones. */
const VERSIONS = [RECORDS];

/** Time limit in milliseconds for each statement, including the wait for another node that is preparing the schema. */
const PATIENCE = 30_000;

/**
 * Updates the tables of a new or older store to this version. Only one node at a time does this.
 * @throws Error that names the fix
 */
export async function prepareSchema(primary: Primary, schema: string): Promise<void> {
  if ((await foundVersion((text, values) => primary.read(text, values), schema)) === VERSIONS.length) return;
  const name = `"${schema}"`;
  await primary.transaction(PATIENCE, async (run) => {
    // This lock lasts until the transaction ends, even behind a pooler.
    await run('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`latchkey schema ${schema}`]);
    const found = await foundVersion(run, schema);
    const exists = await run('SELECT count(*)::integer AS count FROM pg_namespace WHERE nspname = $1', [schema]);
    // IF NOT EXISTS would require the right to create a schema even if the schema exists.
    if (exists[0]?.['count'] === 0) await run(`CREATE SCHEMA ${name}`);
    for (const step of VERSIONS.slice(found)) await run(step.replaceAll('@', name));
    await run(`CREATE TABLE IF NOT EXISTS ${name}.schema_version (version integer NOT NULL)`);
    await run(`DELETE FROM ${name}.schema_version`);
    await run(`INSERT INTO ${name}.schema_version VALUES (${VERSIONS.length})`);
  });
}

/** Tells whether a server has created the schema. */
export async function schemaExists(primary: Primary, schema: string): Promise<boolean> {
  return (await foundVersion((text, values) => primary.read(text, values), schema)) > 0;
}

type Read = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;

/** @returns the version of the store's schema; 0 if the store does not exist yet */
async function foundVersion(read: Read, schema: string): Promise<number> {
  const name = `"${schema}".schema_version`;
  // Reads the catalogue itself, because functions such as to_regclass may return what was true before the wait.
  const [table] = await read(
    `SELECT count(*)::integer AS count FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE nspname = $1 AND relname = 'schema_version'`,
    [schema],
  );
  if (table?.['count'] !== 1) return 0;
  const [row] = await read(`SELECT version FROM ${name}`);
  const found = Number(row?.['version'] ?? 0);
  if (found > VERSIONS.length) {
    throw new Error(
      `the store has schema version ${found}, but this version of Latchkey reads only ${VERSIONS.length}: start a newer version`,
    );
  }
  return found;
}

const OLDEST = 14;

/**
 * Checks that a store can be created or used: the server's version, the database's encoding, and the role's privileges.
 * @throws Error that names the fix
 */
export async function checkServer(primary: Primary, { schema, database }: PostgresUrl): Promise<void> {
  const [facts] = await primary.read(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer AS number,
       current_setting('server_encoding') AS encoding, current_user AS role,
       to_regnamespace($1) IS NOT NULL AS exists,
       has_database_privilege(current_database(), 'CREATE') AS creates,
       coalesce(has_schema_privilege(to_regnamespace($1), 'USAGE'), true) AS uses,
       coalesce(has_schema_privilege(to_regnamespace($1), 'CREATE'), true) AS fills,
       (SELECT count(*)::integer FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'r') AS tables,
       (SELECT coalesce(bool_and(has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT') AND
                 has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')), true)
          FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'r') AS writes`,
    [`"${schema}"`],
  );
  const { version, number, encoding, role, exists, creates, uses, fills, tables, writes } = facts ?? {};
  if (Number(number) < OLDEST * 10_000) {
    throw new Error(`PostgreSQL ${String(version)} is too old: Latchkey needs ${OLDEST} or newer`);
  }
  if (encoding !== 'UTF8') {
    throw new Error(
      `the database ${database} has the encoding ${String(encoding)}, which cannot hold every name. Create another: ` +
        `CREATE DATABASE NAME ENCODING 'UTF8' TEMPLATE template0, and name it in the store URL`,
    );
  }
  const owner = `"${String(role).replaceAll('"', '""')}"`;
  if (exists !== true && creates !== true) {
    throw new Error(
      `the role may not create the schema ${schema} in the database ${database}. ` +
        `As the owner of the database, run CREATE SCHEMA ${schema} AUTHORIZATION ${owner}`,
    );
  }
  if (uses !== true || (tables === 0 && fills !== true)) {
    throw new Error(
      `the role may not use the schema ${schema}. As its owner, run GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${owner}`,
    );
  }
  if (writes !== true) {
    throw new Error(
      `the role may not write to the tables of the schema ${schema}. ` +
        `As their owner, run GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${owner}`,
    );
  }
}
