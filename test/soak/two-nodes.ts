import { newPlace, type Place } from '../durability/command.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { startRedis } from '../support/redis.ts';
import { startServerProcess, type NodeOf, type ServerProcess } from '../support/server-process.ts';

export interface TwoNodes {
  readonly place: Place;
  readonly nodes: readonly [ServerProcess, ServerProcess];
  stop(): Promise<void>;
}

/**
 * A server of two processes on one store, a Redis unless another is given, the first of them at the issuer's address.
 * @param settings go over the demo's, unchecked
 */
export async function startTwoNodes(
  settings: Pick<NodeOf, 'keys' | 'tokens'> = {},
  start: () => Promise<RunningBackend> = () => startRedis({ appendonly: true }),
): Promise<TwoNodes> {
  const store = await start();
  const place = await newPlace(store.url);
  const nodes = [
    await startServerProcess({ ...place, ...settings, at: place.port }),
    await startServerProcess({ ...place, ...settings }),
  ] as const;
  return {
    place,
    nodes,
    async stop() {
      await Promise.all(nodes.map((node) => node.close()));
      await store.stop();
      await place.remove();
    },
  };
}
