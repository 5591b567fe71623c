import { sqlite, type Backend } from '../storage/backends.ts';
import { startRedis } from '../support/redis.ts';

/** What a server may keep everything in: a file, or a Redis that is fit for records. */
export const serverStores: readonly Backend[] = [
  sqlite,
  { name: 'Redis', start: () => startRedis({ appendonly: true }) },
];
