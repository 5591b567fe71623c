import type { Redis } from 'ioredis';
import { answered } from './answered.ts';
import type { RedisStore } from './redis-store.ts';

/**
 * Checks that a Redis may hold `records`, which must outlive memory pressure and restarts, on each of its masters.
 * @returns warnings, about what could not be found out
 * @throws Error that names the setting and how to change it
 */
export async function checkRecordsRedis(store: RedisStore): Promise<string[]> {
  const warnings = await Promise.all(store.masters().map((master) => checkServer(master)));
  return [...new Set(warnings.flat())];
}

/**
 * Looks at a Redis for `grants`, which has a time for everything that it holds, and must keep it until then: what names the
 * tokens of an account or an app is needed to take them back.
 * @returns warnings
 */
export async function checkGrantsRedis(store: RedisStore): Promise<string[]> {
  // A user that may not ask may still keep grants.
  const asked = await Promise.allSettled(store.masters().map((master) => answered(master.info())));
  const facts = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const evicting = new Set(facts.flatMap((one) => evictionPolicy(one) ?? []));
  return [...evicting].map(
    (policy) =>
      'the grants store may lose sessions, and tokens that can then be taken back no more, when its memory is full: ' +
      `its Redis has maxmemory-policy ${policy}. ${NO_EVICTION}`,
  );
}

const NO_EVICTION = 'Run CONFIG SET maxmemory-policy noeviction, and put "maxmemory-policy noeviction" into redis.conf';

/** @returns `undefined` where nothing is evicted */
function evictionPolicy(facts: string): string | undefined {
  const policy = /^maxmemory_policy:(\S+)/m.exec(facts)?.[1];
  return policy === 'noeviction' ? undefined : policy;
}

async function checkServer(server: Redis): Promise<string[]> {
  const facts = await answered(server.info());
  const policy = evictionPolicy(facts);
  if (policy !== undefined) {
    throw new Error(
      'the records store would lose accounts and keys when its memory is full: ' +
        `its Redis has maxmemory-policy ${policy}. ${NO_EVICTION}`,
    );
  }
  if (/^aof_enabled:1/m.test(facts)) return [];
  const snapshots = await snapshotSetting(server);
  if (snapshots === undefined) {
    return ['could not find out whether the Redis of the records store saves to disk: it does not allow CONFIG GET'];
  }
  if (snapshots !== '') return [];
  throw new Error(
    'the records store would lose accounts and keys at a restart: its Redis does not save to disk. ' +
      'Run CONFIG SET appendonly yes, and put "appendonly yes" into redis.conf',
  );
}

/** The `save` setting, empty when there are no snapshots; `undefined` when the server does not tell. */
async function snapshotSetting(server: Redis): Promise<string | undefined> {
  try {
    const answer: unknown = await answered(server.config('GET', 'save'));
    return Array.isArray(answer) ? String(answer[1]) : undefined;
  } catch {
    return undefined;
  }
}
