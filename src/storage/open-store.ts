import { existsSync } from 'node:fs';
import { parseStoreUrl } from '../config/store-url.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from './store.ts';

// Backends are loaded when a URL names them, because a server seldom needs both.

/** Opens the store that a URL names. @param isReplicated whether writes wait for replicas. @throws Error for a URL that is none, StoreUnavailable when nothing answers */
export async function openStore(url: string, clock: Clock, isReplicated = false): Promise<Store> {
  const parsed = parseStoreUrl(url);
  if (parsed.backend === 'sqlite') {
    const { openSqliteStore } = await import('./sqlite/sqlite-store.ts');
    return openSqliteStore(parsed.path, clock);
  }
  const { openRedisStore } = await import('./redis/redis-store.ts');
  return openRedisStore(url, clock, isReplicated);
}

/** Tells whether the file of a URL exists; for Redis only its contents can tell. */
export function storeFileExists(url: string): boolean {
  const parsed = parseStoreUrl(url);
  return parsed.backend !== 'sqlite' || existsSync(parsed.path);
}

/** Checks that the store of a URL may hold `records`: see `checkRecordsRedis`. @returns warnings */
export async function checkRecordsStore(url: string, store: Store): Promise<string[]> {
  return checkRedis(url, store, ({ checkRecordsRedis }) => checkRecordsRedis);
}

/** Checks that the store of a URL keeps `grants`: see `checkGrantsRedis`. @returns warnings */
export async function checkGrantsStore(url: string, store: Store): Promise<string[]> {
  return checkRedis(url, store, ({ checkGrantsRedis }) => checkGrantsRedis);
}

/** Checks how much a failover of the store may lose: see `checkReplicas`. @returns warnings */
export async function checkStoreReplicas(url: string, store: Store, isReplicated: boolean): Promise<string[]> {
  return checkRedis(
    url,
    store,
    ({ checkReplicas }) =>
      (redis) =>
        checkReplicas(redis, isReplicated),
  );
}

type Checks = typeof import('./redis/check-redis.ts');

async function checkRedis(
  url: string,
  store: Store,
  choose: (checks: Checks) => Checks['checkGrantsRedis'],
): Promise<string[]> {
  if (parseStoreUrl(url).backend === 'sqlite') return [];
  const [{ RedisStore }, checks] = await Promise.all([
    import('./redis/redis-store.ts'),
    import('./redis/check-redis.ts'),
  ]);
  return store instanceof RedisStore ? choose(checks)(store) : [];
}
