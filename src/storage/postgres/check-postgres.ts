import { isLocal, type PostgresUrl } from '../../config/store-url.ts';
import type { PostgresStore } from './postgres-store.ts';
import { NOT_REPLICATED } from './server.ts';

/** Checks that a PostgreSQL may hold `records`. @returns warnings @throws Error that names the setting and the fix */
export async function checkRecordsPostgres(store: PostgresStore): Promise<string[]> {
  const unsafe = await unsafeSettings(store);
  if (unsafe.length > 0) {
    throw new Error(
      `the records store could lose accounts and keys when its machine crashes: its PostgreSQL has ${settingsAndFix(unsafe)}`,
    );
  }
  return warnings(store);
}

/** Checks that a PostgreSQL keeps `grants`. @returns warnings */
export async function checkGrantsPostgres(store: PostgresStore): Promise<string[]> {
  const unsafe = await unsafeSettings(store);
  const lost =
    `the grants store may lose sessions and revocations, and may be damaged, when its machine crashes: its PostgreSQL has ` +
    settingsAndFix(unsafe);
  return [...(unsafe.length > 0 ? [lost] : []), ...(await warnings(store))];
}

/**
 * Checks that no failover loses a write if `durability` is `replicated`.
 * @returns warnings
 * @throws Error if one could
 */
export async function checkPostgresReplicas(store: PostgresStore, isReplicated: boolean): Promise<string[]> {
  const [row] = await store.primary.read(`
    SELECT current_setting('synchronous_standby_names') AS names, current_setting('synchronous_commit') AS commits,
      (SELECT count(*)::integer FROM pg_stat_replication) AS replicas`);
  const { names, commits, replicas } = row ?? {};
  const waits = names !== '' && (commits === 'on' || commits === 'remote_apply');
  if (isReplicated && !waits) throw new Error(`the PostgreSQL ${NOT_REPLICATED}; or set stores.durability to primary`);
  if (isReplicated || waits || (Number(replicas) === 0 && store.url.nodes.length < 2)) return [];
  return [
    'a failover of the PostgreSQL may lose the latest acknowledged writes, including revocations and used codes: ' +
      'set synchronous_standby_names in postgresql.conf, and stores.durability to replicated',
  ];
}

async function unsafeSettings({ primary }: PostgresStore): Promise<string[]> {
  const rows = await primary.read(
    `SELECT name FROM unnest(ARRAY['fsync', 'full_page_writes']) AS name WHERE current_setting(name) = 'off'`,
  );
  return rows.map(({ name }) => String(name));
}

function settingsAndFix(names: readonly string[]): string {
  const settings = names.map((name) => `${name} = off`).join(' and ');
  const fixes = names.map((name) => `ALTER SYSTEM SET ${name} = on`).join('; ');
  return `${settings}. Run ${fixes}; SELECT pg_reload_conf()`;
}

async function warnings({ primary, url }: PostgresStore): Promise<string[]> {
  const [facts] = await primary.read(
    `
    SELECT current_setting('synchronous_commit') AS commits, current_setting('statement_timeout') AS statements,
      current_setting('default_transaction_isolation') AS isolation, current_setting('client_min_messages') AS messages,
      EXISTS (SELECT FROM pg_namespace WHERE nspname = ANY (current_schemas(false)) AND nspname <> 'pg_catalog' AND
        has_schema_privilege('public'::name, oid, 'CREATE')) AS shared,
      (SELECT string_agg(DISTINCT pg_get_userbyid(owner), ', ') FROM
        (SELECT nspowner AS owner FROM pg_namespace WHERE nspname = $1
         UNION SELECT relowner FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = $1
        ) AS owners WHERE NOT pg_has_role(owner, 'USAGE')) AS strangers,
      (SELECT bool_or(has_schema_privilege('public'::name, oid, 'CREATE')) FROM pg_namespace WHERE nspname = $1) AS open`,
    [url.schema],
  );
  const { commits, statements, isolation, messages, shared, strangers, open } = facts ?? {};
  const alter = `ALTER ROLE "${url.username}" SET`;
  return [
    ...(commits === 'off'
      ? [
          `a crash of the PostgreSQL loses the writes that it acknowledged in the last second: run ${alter} synchronous_commit = on`,
        ]
      : []),
    ...(statements === '0'
      ? [`the pooler's PostgreSQL has no time limit for statements: run ${alter} statement_timeout = '2s'`]
      : []),
    ...(isolation === 'read committed'
      ? []
      : [`the PostgreSQL refuses concurrent writes: run ${alter} default_transaction_isolation = 'read committed'`]),
    ...(typeof strangers === 'string'
      ? [
          `the schema ${url.schema} or its tables belong to another role (${strangers}), which can read and change all that is ` +
            `stored: run ALTER SCHEMA ${url.schema} OWNER TO "${url.username}", and ALTER TABLE … OWNER TO for each table`,
        ]
      : []),
    ...(open === true
      ? [
          `any role may create objects in the schema ${url.schema}: run REVOKE CREATE ON SCHEMA ${url.schema} FROM PUBLIC`,
        ]
      : []),
    ...tlsWarnings(url),
    ...(shared === true
      ? [`other roles can make the store run their functions: run ${alter} search_path = pg_catalog`]
      : []),
    ...(messages === 'error'
      ? [`the PostgreSQL does not report that replicas lack a write: run ${alter} client_min_messages = 'warning'`]
      : []),
  ];
}

/** Warns of a connection to another machine whose server is not authenticated. */
function tlsWarnings({ sslmode, nodes, direct }: PostgresUrl): string[] {
  if ([...nodes, ...direct].every(isLocal)) return [];
  if (sslmode === 'require')
    return [
      'sslmode=require encrypts the connection to the PostgreSQL, but does not check whose it is: whoever can redirect it gets ' +
        'the password and all data. Use verify-full, the default, with sslrootcert=/PATH',
    ];
  if (sslmode === 'disable')
    return [
      'sslmode=disable sends the password and all data to the PostgreSQL unencrypted: use verify-full, the default',
    ];
  return [];
}
