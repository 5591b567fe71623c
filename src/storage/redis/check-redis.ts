import type { Redis } from 'ioredis';
import { withTimeout } from './with-timeout.ts';
import type { RedisStore } from './redis-store.ts';

/**
 * Checks on each master that a Redis may hold `records`, which must survive restarts and full memory.
 * @returns warnings about settings that could not be read
 * @throws Error that names the setting and the fix
 */
export async function checkRecordsRedis(store: RedisStore): Promise<string[]> {
  const warnings = await Promise.all(store.masters().map((master) => checkServer(master)));
  return [...new Set(warnings.flat())];
}

/**
 * Checks that a Redis for `grants` keeps each entry until its expiry, because a revocation finds tokens by the indexes
 * of accounts and apps.
 * @returns warnings
 */
export async function checkGrantsRedis(store: RedisStore): Promise<string[]> {
  // A Redis user without permission for INFO may still store grants.
  const asked = await Promise.allSettled(store.masters().map((master) => withTimeout(master.info())));
  const facts = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const evicting = new Set(facts.flatMap((one) => evictionPolicy(one) ?? []));
  return [...evicting].map(
    (policy) =>
      'the grants store may lose sessions, and tokens that can then no longer be revoked, when its memory is full: ' +
      `its Redis has maxmemory-policy ${policy}. ${NO_EVICTION}`,
  );
}

/** The longest `min-replicas-max-lag` in seconds with which a failover loses no more than the documentation says. */
const LONGEST_LAG = 10;
const FENCE =
  'Run CONFIG SET min-replicas-to-write 1 and CONFIG SET min-replicas-max-lag 5 on every server of the set, and put ' +
  '"min-replicas-to-write 1" and "min-replicas-max-lag 5" into each redis.conf';

/**
 * Warns about a Redis that accepts writes while it is cut off from its replicas, because a failover would lose them.
 * Warns about a store URL that does not name every Sentinel.
 * @returns warnings
 * @throws Error if writes are to wait for replicas and there are none
 */
export async function checkReplicas(store: RedisStore, isReplicated: boolean): Promise<string[]> {
  const warnings = await Promise.all(store.masters().map((master) => checkFence(master, store, isReplicated)));
  const { named, known } = store.sentinels?.counts ?? { named: 0, known: 0 };
  if (known > named) {
    warnings.push([
      `the store URL names ${named} of ${known} Sentinels: name them all, because a majority of the named Sentinels must ` +
        'confirm the primary',
    ]);
  }
  return [...new Set(warnings.flat())];
}

async function checkFence(server: Redis, { sentinels }: RedisStore, isReplicated: boolean): Promise<string[]> {
  const facts = await withTimeout(server.info('replication')).catch(() => '');
  const hasReplicas = sentinels?.hasReplicas === true || /^connected_slaves:[1-9]/m.test(facts);
  if (!hasReplicas && isReplicated) {
    throw new Error('stores.durability is replicated, but the Redis has no replica: add one, or set it to primary');
  }
  if (!hasReplicas) return [];
  const minReplicas = await setting(server, 'min-replicas-to-write');
  const lag = await setting(server, 'min-replicas-max-lag');
  if (minReplicas === undefined || lag === undefined) return [];
  if (Number(minReplicas) > 0 && Number(lag) > 0 && Number(lag) <= LONGEST_LAG) return [];
  return [
    'a Redis that is cut off from its replicas would still accept writes, which are lost when a replica takes its ' +
      `place: it has min-replicas-to-write ${minReplicas} and min-replicas-max-lag ${lag}. ${FENCE}`,
  ];
}

const NO_EVICTION = 'Run CONFIG SET maxmemory-policy noeviction, and put "maxmemory-policy noeviction" into redis.conf';

/** @returns the policy; `undefined` if nothing is evicted */
function evictionPolicy(facts: string): string | undefined {
  const policy = /^maxmemory_policy:(\S+)/m.exec(facts)?.[1];
  return policy === 'noeviction' ? undefined : policy;
}

async function checkServer(server: Redis): Promise<string[]> {
  const facts = await withTimeout(server.info());
  const policy = evictionPolicy(facts);
  if (policy !== undefined) {
    throw new Error(
      'the records store would lose accounts and keys when its memory is full: ' +
        `its Redis has maxmemory-policy ${policy}. ${NO_EVICTION}`,
    );
  }
  if (/^aof_enabled:1/m.test(facts)) return [];
  // The setting is empty if Redis takes no snapshots.
  const snapshots = await setting(server, 'save');
  if (snapshots === undefined) {
    return ['could not find out whether the Redis of the records store saves to disk: it does not allow CONFIG GET'];
  }
  if (snapshots !== '') return [];
  throw new Error(
    'the records store would lose accounts and keys at a restart: its Redis does not save to disk. ' +
      'Run CONFIG SET appendonly yes, and put "appendonly yes" into redis.conf',
  );
}

/** @returns the setting's value; `undefined` if the server does not reveal it */
async function setting(server: Redis, name: string): Promise<string | undefined> {
  try {
    const answer: unknown = await withTimeout(server.config('GET', name));
    return Array.isArray(answer) ? String(answer[1]) : undefined;
  } catch {
    return undefined;
  }
}
