import type { Clock } from '../lib/clock.ts';
import { everyRecord } from '../storage/every-member.ts';
import { keyspace, type Index, type Store, type Stored, type WriteOptions } from '../storage/store.ts';
import { update, upsert } from '../storage/update.ts';
import { PUSH, type Stream } from './streams.ts';

/** Time in seconds for which an untouched queue is kept, and for which an event waits for its receiver. */
export const LIFE = 7 * 86_400;
/** Told that a stream has something new. */
const HINTS = 'signals';

/** Delivery state of one stream. Every event changes it, so that nobody deletes it as empty after an outdated look. */
export interface Queue {
  stream: string;
  /** About how many wait; made right whenever none does. */
  waiting: number;
  /** Time at which the last event was taken or the first one came, in milliseconds since the epoch, as `dueAt`. */
  since: number;
  /** Pushes that failed in a row. */
  attempts: number;
  /** Time of the next push; later while a node is pushing. */
  dueAt: number;
  /** The node that is pushing it. */
  owner?: string;
}

export interface Queues {
  get(stream: string): Promise<Stored<Queue> | undefined>;
  /** Changes a queue, or makes it, and tells every node. @param isBusy whether there is something to push */
  touch(stream: Stream, change: (now: Queue) => Queue, isBusy: boolean): Promise<void>;
  /** Changes a queue if there is one, and says nothing of it. */
  adjust(stream: Stream, change: (now: Queue) => Queue): Promise<void>;
  /** @returns whether nobody has changed it meanwhile */
  replace(stream: Stream, queue: Queue, version: number, isBusy: boolean): Promise<boolean>;
  remove(stream: string): Promise<void>;
  /** The streams that may be pushed now. */
  due(): Promise<string[]>;
  /** @returns the way to stop listening */
  onHint(listener: (stream: string) => void): Promise<() => Promise<void>>;
}

const queueKey = keyspace<Queue>('signal-queue');
/** Those that have something to push. */
const queuesToPush: Index<Queue> = 'signal-queues';

export function openQueues({ grants, clock }: { grants: Store; clock: Clock }): Queues {
  const get = (stream: string) => grants.get(queueKey(stream));
  return {
    get,
    async touch(stream, change, isBusy) {
      const { id } = stream;
      const [key, write, now] = [queueKey(id), options(stream, isBusy), clock.now()];
      const fresh: Queue = { stream: id, waiting: 0, since: now, attempts: 0, dueAt: now };
      await upsert(grants, key, await get(id), { first: change(fresh), change }, write);
      await grants.publish(HINTS, id);
    },
    async adjust(stream, change) {
      const isBusy = stream.status === 'enabled';
      await update(grants, queueKey(stream.id), await get(stream.id), change, options(stream, isBusy));
    },
    replace: (stream, queue, version, isBusy) =>
      grants.replace(queueKey(stream.id), queue, version, options(stream, isBusy)),
    async remove(stream) {
      await grants.delete(queueKey(stream));
    },
    async due() {
      const due: string[] = [];
      for await (const { value } of everyRecord(grants, queuesToPush))
        if (value.dueAt <= clock.now()) due.push(value.stream);
      return due;
    },
    onHint: (listener) => grants.subscribe(HINTS, listener),
  };
}

function options({ delivery }: Stream, isBusy: boolean): WriteOptions {
  return { ttl: LIFE, indexes: isBusy && delivery.method === PUSH ? [queuesToPush] : [] };
}
