import {
  busOf,
  clusterIsComplete,
  command,
  HOST,
  startClusterNode,
  startRedisCluster,
  until,
  type RedisOfTests,
  type Server,
} from './redis.ts';

/** One of the thirds of a cluster. */
export interface Shard {
  /** The primary at the start. */
  primary: Server;
  replica: Server;
}

export interface ReplicatedCluster extends RedisOfTests {
  readonly shards: readonly Shard[];
  /** Has the replica take the place of its primary, which need not agree. Settles once it has. */
  takeOver(shard: Shard): Promise<void>;
}

/** A cluster of three primaries, each with a replica. */
export async function startReplicatedCluster(): Promise<ReplicatedCluster> {
  const cluster = await startRedisCluster({ appendonly: true });
  const replicas: Server[] = [];
  const stop = async () => {
    await Promise.all([cluster.stop(), ...replicas.map((replica) => replica.stop())]);
  };
  try {
    const shards: Shard[] = [];
    for (const primary of cluster.servers) {
      const replica = await startClusterNode({
        appendonly: true,
        extra: ['--repl-diskless-sync-delay', '0'],
      });
      replicas.push(replica);
      shards.push({ primary, replica });
    }
    const size = 2 * shards.length;
    for (const { primary, replica } of shards)
      await command(primary.port, (client) =>
        client.call('CLUSTER', ['MEET', HOST, replica.port, busOf(replica.port)]),
      );
    for (const { port } of shards.flatMap(({ primary, replica }) => [primary, replica]))
      await until(port, clusterIsComplete(size));
    for (const shard of shards) await follow(shard);
    return { ...cluster, shards, stop, takeOver };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function follow({ primary, replica }: Shard): Promise<void> {
  const id = String(await command(primary.port, (client) => client.call('CLUSTER', ['MYID'])));
  await command(replica.port, (client) => client.call('CLUSTER', ['REPLICATE', id]));
  await until(primary.port, async (client) => (await client.info('replication')).includes('state=online'));
}

async function takeOver({ replica }: Shard): Promise<void> {
  await until(replica.port, async (client) => {
    if (String(await client.role()).startsWith('master')) return true;
    await client.call('CLUSTER', ['FAILOVER', 'FORCE']);
    return false;
  });
}
