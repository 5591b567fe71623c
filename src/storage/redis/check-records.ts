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

async function checkServer(server: Redis): Promise<string[]> {
  const facts = await answered(server.info());
  const policy = /^maxmemory_policy:(\S+)/m.exec(facts)?.[1];
  if (policy !== undefined && policy !== 'noeviction') {
    throw new Error(
      `the records store would lose accounts and keys when its memory is full: its Redis has maxmemory-policy ${policy}. ` +
        `Run CONFIG SET maxmemory-policy noeviction, and put "maxmemory-policy noeviction" into redis.conf`,
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
