import type { Lease, Due } from '../../src/storage/lease.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { QueueWorker } from '../../src/storage/queue-worker.ts';
import type { Index, Store } from '../../src/storage/store.ts';
import { WorkQueue } from '../../src/storage/work-queue.ts';
import type { MovedClock } from '../support/clock.ts';
import { storesAround } from '../support/stores-around.ts';

export interface Job extends Due {
  attempts: number;
}

export const jobs: Index<Job> = 'jobs';
/** In milliseconds of the clock that the tests move. */
export const LEASE = 600;
export const AT_ONCE = 25;

/** A node with its own connection to the store. It can be killed, and stopped and resumed, between any two calls. */
export class WorkingNode {
  readonly store: Store;
  readonly queue: WorkQueue<Job>;
  readonly worker: QueueWorker<Job>;
  readonly failures: unknown[] = [];
  /** Times that it has read the index. */
  looks = 0;
  /** The largest number of records that it worked on at the same time. */
  most = 0;
  #running = 0;
  #isDead = false;
  #stopped: PromiseWithResolvers<void> | undefined;
  readonly #own: Store;

  private constructor(store: Store, clock: MovedClock, work: (lease: Lease<Job>) => Promise<void>) {
    this.#own = store;
    const { around } = storesAround(async (call, name) => {
      await this.#stopped?.promise;
      if (this.#isDead) throw new Error('this node is dead');
      if (name === 'members') this.looks += 1;
      return call();
    });
    this.store = around({ records: store, grants: store }).grants;
    this.queue = new WorkQueue<Job>({
      ...{ store: this.store, clock, index: jobs, life: 3600, lease: LEASE },
      claim: (now) => ({ ...now, attempts: now.attempts + 1 }),
    });
    this.worker = new QueueWorker(this.queue, {
      ...{ pollInterval: 10, atOnce: AT_ONCE },
      reportFailure: (error) => this.failures.push(error),
      work: async (lease) => {
        this.#running += 1;
        this.most = Math.max(this.most, this.#running);
        await work(lease).finally(() => (this.#running -= 1));
      },
    });
  }

  static async open(url: string, clock: MovedClock, work: (lease: Lease<Job>) => Promise<void>): Promise<WorkingNode> {
    return new WorkingNode(await openStore(url, clock), clock, work);
  }

  /** From now on nothing that it does reaches the store. */
  kill(): void {
    this.#isDead = true;
  }

  /** Holds back everything that it asks of the store, as if its process were stopped. */
  stop(): void {
    this.#stopped = Promise.withResolvers();
  }

  resume(): void {
    this.#stopped?.resolve();
    this.#stopped = undefined;
  }

  async close(): Promise<void> {
    this.resume();
    await this.worker.close();
    await this.#own.close();
  }
}
