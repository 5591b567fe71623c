import { existsSync } from 'node:fs';
import { parseStoreUrl } from '../config/store-url.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from './store.ts';

// A backend is loaded only if a URL names it, because few servers need all backends.

/**
 * Opens the store that a URL names.
 * @param isReplicated true if a write waits for the replicas
 * @param mayCreate true if the tables of a new PostgreSQL store may be created
 * @throws StoreMissing if those tables are missing and may not be created, StoreUnavailable if the backend does not
 * answer, or Error for an invalid URL
 */
export async function openStore(url: string, clock: Clock, isReplicated = false, mayCreate = true): Promise<Store> {
  const parsed = parseStoreUrl(url);
  if (parsed.backend === 'sqlite') {
    const { openSqliteStore } = await import('./sqlite/sqlite-store.ts');
    return openSqliteStore(parsed.path, clock);
  }
  if (parsed.backend === 'postgres') {
    const { openPostgresStore } = await import('./postgres/postgres-store.ts');
    return openPostgresStore(url, clock, { isReplicated, mayCreate });
  }
  const { openRedisStore } = await import('./redis/redis-store.ts');
  return openRedisStore(url, clock, isReplicated);
}

/**
 * Tells whether the file of an SQLite URL exists. For any other URL it returns true, because only the server can tell.
 */
export function storeFileExists(url: string): boolean {
  const parsed = parseStoreUrl(url);
  return parsed.backend !== 'sqlite' || existsSync(parsed.path);
}

/** Checks that the store of a URL may hold `records`: see `checkRecordsRedis`, `checkRecordsPostgres`. @returns warnings */
export async function checkRecordsStore(url: string, store: Store): Promise<string[]> {
  return check(url, store, {
    redis: ({ checkRecordsRedis }) => checkRecordsRedis,
    postgres: ({ checkRecordsPostgres }) => checkRecordsPostgres,
  });
}

/** Checks that the store of a URL keeps `grants`: see `checkGrantsRedis`, `checkGrantsPostgres`. @returns warnings */
export async function checkGrantsStore(url: string, store: Store): Promise<string[]> {
  return check(url, store, {
    redis: ({ checkGrantsRedis }) => checkGrantsRedis,
    postgres: ({ checkGrantsPostgres }) => checkGrantsPostgres,
  });
}

/** Checks how much a failover of the store may lose: see `checkReplicas`, `checkPostgresReplicas`. @returns warnings */
export async function checkStoreReplicas(url: string, store: Store, isReplicated: boolean): Promise<string[]> {
  return check(url, store, {
    redis:
      ({ checkReplicas }) =>
      (redis) =>
        checkReplicas(redis, isReplicated),
    postgres:
      ({ checkPostgresReplicas }) =>
      (postgres) =>
        checkPostgresReplicas(postgres, isReplicated),
  });
}

type RedisChecks = typeof import('./redis/check-redis.ts');
type PostgresChecks = typeof import('./postgres/check-postgres.ts');

interface BackendChecks {
  redis: (checks: RedisChecks) => RedisChecks['checkGrantsRedis'];
  postgres: (checks: PostgresChecks) => PostgresChecks['checkGrantsPostgres'];
}

async function check(url: string, store: Store, checksFor: BackendChecks): Promise<string[]> {
  switch (parseStoreUrl(url).backend) {
    case 'sqlite':
      return [];
    case 'redis': {
      const [{ RedisStore }, checks] = await Promise.all([
        import('./redis/redis-store.ts'),
        import('./redis/check-redis.ts'),
      ]);
      return store instanceof RedisStore ? checksFor.redis(checks)(store) : [];
    }
    case 'postgres': {
      const [{ PostgresStore }, checks] = await Promise.all([
        import('./postgres/postgres-store.ts'),
        import('./postgres/check-postgres.ts'),
      ]);
      return store instanceof PostgresStore ? checksFor.postgres(checks)(store) : [];
    }
  }
}
