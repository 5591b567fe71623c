import { postgres, sqlite, type Backend } from '../storage/backends.ts';
import { startRedis, startRedisCluster } from '../support/redis.ts';

/** For tests that take long, and in which a network and a file are the only difference: a file, or a Redis for records. */
export const twoServerStores: readonly Backend[] = [
  sqlite,
  { name: 'Redis', start: () => startRedis({ appendonly: true }) },
];

/** Everything that a server may have as its only store. */
export const serverStores: readonly Backend[] = [...twoServerStores, postgres];

/** Each of the ways to run several nodes. */
export const sharedStores: readonly Backend[] = [
  ...serverStores,
  { name: 'Redis Cluster', start: () => startRedisCluster({ appendonly: true }) },
];
