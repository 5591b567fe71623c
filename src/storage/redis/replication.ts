import { Cluster } from 'ioredis';
import { StoreUnavailable } from '../store.ts';
import { TickBatcher } from '../tick-batcher.ts';
import { withTimeout } from './with-timeout.ts';
import { mastersOf, type Client } from './cluster-view.ts';
import type { PrimaryWatch } from './primary-watch.ts';

/** Longest time in milliseconds for the replicas to receive a write. */
const PATIENCE = 1000;

/** Delays the acknowledgement of a write until the replicas have it, so that no failover loses it. */
export class Replication {
  readonly #client: Client;
  readonly #watch: PrimaryWatch;
  readonly #waits = new TickBatcher<undefined>(() => this.#wait());
  /** Number of connections that broke. WAIT on a new connection does not cover the writes on an earlier one. */
  #breaks = 0;

  constructor(client: Client, watch: PrimaryWatch) {
    this.#client = client;
    this.#watch = watch;
    const count = (): void => void (this.#breaks += 1);
    if (!(client instanceof Cluster)) {
      client.on('close', count);
      return;
    }
    for (const node of client.nodes('all')) node.on('close', count);
    client.on('+node', (node: Client) => void node.on('close', count));
    client.on('-node', count);
  }

  /** Runs writes on this client's connections, and waits for the replicas. @throws StoreUnavailable */
  async replicated<T>(write: () => Promise<T>): Promise<T> {
    const before = this.#breaks;
    const answer = await write();
    await this.#waits.add(undefined);
    if (this.#breaks !== before)
      throw new StoreUnavailable('Redis: the connection broke before the replicas had the write');
    return answer;
  }

  /** Waits until the replicas have everything that these connections have written so far. */
  async #wait(): Promise<void> {
    await Promise.all(
      mastersOf(this.#client).map(async (master) => {
        const needed = this.#watch.neededReplicas(master);
        const reached = needed === Infinity ? 0 : await withTimeout(master.wait(needed, PATIENCE));
        if (reached < needed) {
          throw new StoreUnavailable(
            needed === Infinity
              ? 'Redis: the Sentinels see the primary as down'
              : `Redis: only ${reached} of ${needed} replicas have the write`,
          );
        }
      }),
    );
  }
}
