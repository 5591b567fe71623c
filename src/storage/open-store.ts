import { parseStoreUrl } from '../config/store-url.ts';
import type { Clock } from '../lib/clock.ts';
import { checkRecordsRedis } from './redis/check-records.ts';
import { openRedisStore, RedisStore } from './redis/redis-store.ts';
import { openSqliteStore } from './sqlite/sqlite-store.ts';
import type { Store } from './store.ts';

/** Opens the store that a URL names. @throws Error for a URL that is none, StoreUnavailable when nothing answers */
export async function openStore(url: string, clock: Clock): Promise<Store> {
  const parsed = parseStoreUrl(url);
  return parsed.backend === 'sqlite' ? openSqliteStore(parsed.path, clock) : openRedisStore(url, clock);
}

/** Checks that a store may hold `records`: see `checkRecordsRedis`. @returns warnings */
export async function checkRecordsStore(store: Store): Promise<string[]> {
  return store instanceof RedisStore ? checkRecordsRedis(store) : [];
}
