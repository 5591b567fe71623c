import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedPostgres } from '../support/postgres.ts';
import { startRedis, startRedisCluster, startSentinel } from '../support/redis.ts';

export interface RunningBackend {
  url: string;
  stop(): Promise<void>;
}

export interface Backend {
  name: string;
  start(): Promise<RunningBackend>;
}

export const sqlite: Backend = {
  name: 'SQLite',
  start: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'latchkey-sqlite-'));
    return {
      url: `sqlite:${join(folder, 'store.db')}`,
      stop: () => rm(folder, { recursive: true, force: true }),
    };
  },
};

export const redis: Backend = { name: 'Redis', start: () => startRedis() };
export const redisCluster: Backend = { name: 'Redis Cluster', start: () => startRedisCluster() };
export const redisSentinel: Backend = { name: 'Redis behind Sentinel', start: () => startSentinel() };
export const postgres: Backend = { name: 'PostgreSQL', start: () => sharedPostgres() };

export const backends: readonly Backend[] = [sqlite, redis, redisCluster, redisSentinel, postgres];
