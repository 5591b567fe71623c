import type { Config } from '../../src/config/schema.ts';
import { newPlace, type Place } from '../durability/command.ts';
import { startRedis } from '../support/redis.ts';
import { startServerProcess, type ServerProcess } from '../support/server-process.ts';

export interface TwoNodes {
  readonly place: Place;
  readonly nodes: readonly [ServerProcess, ServerProcess];
  stop(): Promise<void>;
}

/** A server of two processes on one Redis, the first of them at the issuer's address. @param keys goes over the settings of the keys, unchecked */
export async function startTwoNodes(keys: Partial<Config['keys']> = {}): Promise<TwoNodes> {
  const redis = await startRedis({ appendonly: true });
  const place = await newPlace(redis.url);
  const nodes = [
    await startServerProcess({ ...place, keys, at: place.port }),
    await startServerProcess({ ...place, keys }),
  ] as const;
  return {
    place,
    nodes,
    async stop() {
      await Promise.all(nodes.map((node) => node.close()));
      await redis.stop();
      await place.remove();
    },
  };
}
