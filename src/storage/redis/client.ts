import { Cluster, type Redis } from 'ioredis';

export type Client = Redis | Cluster;

/** The servers that hold the records: one, or each master of a cluster. */
export function mastersOf(client: Client): Redis[] {
  return client instanceof Cluster ? client.nodes('master') : [client];
}
