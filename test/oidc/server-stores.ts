import { sqlite, type Backend } from '../storage/backends.ts';
import { startRedis, startRedisCluster } from '../support/redis.ts';

/** What a server may keep everything in: a file, or a Redis that is fit for records. */
export const serverStores: readonly Backend[] = [
  sqlite,
  { name: 'Redis', start: () => startRedis({ appendonly: true }) },
];

/** Each of the ways to run several nodes. */
export const sharedStores: readonly Backend[] = [
  ...serverStores,
  { name: 'Redis Cluster', start: () => startRedisCluster({ appendonly: true }) },
];
