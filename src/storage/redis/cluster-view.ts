import { type Redis, Cluster } from 'ioredis';
import { withTimeout } from './with-timeout.ts';

export type Client = Redis | Cluster;

/** Returns the servers that hold the records: one, or each master of a cluster. */
export function mastersOf(client: Client): Redis[] {
  return client instanceof Cluster ? client.nodes('master') : [client];
}

/** One node of a cluster, as another node sees it. */
interface SeenNode {
  id: string;
  address: string;
  flags: string[];
  epoch: number;
}

/** One node's view of all nodes, itself included. */
interface ClusterView {
  own: SeenNode | undefined;
  nodes: SeenNode[];
  /** Grows with every failover. */
  epoch: number;
}

/**
 * Finds nodes that consider themselves masters although nodes with a later epoch do not. Such a node is cut off from
 * the other nodes, but this server still reaches it. Nodes that do not answer are ignored.
 * @returns their addresses
 */
export async function deposedMasters(nodes: readonly Redis[]): Promise<string[]> {
  const answers = await Promise.allSettled(nodes.map((node) => withTimeout(node.cluster('NODES'))));
  return deposedIn(answers.flatMap((answer) => (answer.status === 'fulfilled' ? [viewOf(String(answer.value))] : [])));
}

/** @returns the addresses of self-declared masters that a view of the latest epoch lists as replicas or as failed */
export function deposedIn(views: readonly ClusterView[]): string[] {
  const latest = Math.max(...views.map(({ epoch }) => epoch));
  const informed = views.filter(({ epoch }) => epoch === latest);
  const masters = views.flatMap(({ own }) => (own?.flags.includes('master') === true ? [own] : []));
  const isReplaced = ({ id }: SeenNode): boolean =>
    informed.some(({ nodes }) =>
      nodes.some((node) => node.id === id && ['slave', 'fail'].some((flag) => node.flags.includes(flag))),
    );
  return masters.filter(isReplaced).map(({ address }) => address);
}

/** Parses the reply of `CLUSTER NODES`, which has one line for each node. */
export function viewOf(text: string): ClusterView {
  const nodes = text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [id = '', address = '', flags = '', , , , epoch = '0'] = line.split(' ');
      return { id, address: address.replace(/@.*$/, ''), flags: flags.split(','), epoch: Number(epoch) };
    });
  const own = nodes.find(({ flags }) => flags.includes('myself'));
  return { own, nodes, epoch: Math.max(0, ...nodes.map(({ epoch }) => epoch)) };
}
