import { parseStoreUrl } from '../config/store-url.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from './store.ts';

// A server has one kind of backend, seldom both, so each is loaded when a URL names it.

/** Opens the store that a URL names. @throws Error for a URL that is none, StoreUnavailable when nothing answers */
export async function openStore(url: string, clock: Clock): Promise<Store> {
  const parsed = parseStoreUrl(url);
  if (parsed.backend === 'sqlite') {
    const { openSqliteStore } = await import('./sqlite/sqlite-store.ts');
    return openSqliteStore(parsed.path, clock);
  }
  const { openRedisStore } = await import('./redis/redis-store.ts');
  return openRedisStore(url, clock);
}

/** Checks that the store that a URL named may hold `records`: see `checkRecordsRedis`. @returns warnings */
export async function checkRecordsStore(url: string, store: Store): Promise<string[]> {
  if (parseStoreUrl(url).backend === 'sqlite') return [];
  const [{ RedisStore }, { checkRecordsRedis }] = await Promise.all([
    import('./redis/redis-store.ts'),
    import('./redis/check-records.ts'),
  ]);
  return store instanceof RedisStore ? checkRecordsRedis(store) : [];
}
