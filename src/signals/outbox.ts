import type { Clock } from '../lib/clock.ts';
import { everyMember, everyRecord } from '../storage/every-member.ts';
import { keyspace, type Index, type Key, type Store } from '../storage/store.ts';
import { STREAM_UPDATED } from './event-types.ts';
import type { Signal } from './account-event.ts';
import { LIFE, type Queue, type Queues } from './queues.ts';
import type { Stream } from './streams.ts';

/** Events that wait for their receivers, each stream's in order, in the store alone: any node goes on with them. */
export interface Outbox {
  /** Adds an event once, however often it is called. */
  add(stream: Stream, signal: Signal): Promise<void>;
  /** Goes on with a stream that stood still, as if nothing had failed. */
  resume(stream: Stream): Promise<void>;
  /** In the order in which they came. */
  waiting(stream: string): AsyncIterable<Signal>;
  /** Removes the events that the receiver has acknowledged. @returns those that were there */
  remove(stream: Stream, names: readonly string[]): Promise<string[]>;
  /** Puts the count of what waits right, where nothing does: events that expire are not counted down. */
  settle(stream: Stream): Promise<void>;
  /** Forgets everything that waits in a stream. */
  clear(stream: string): Promise<void>;
}

/**
 * Time in seconds for which a delivered event is remembered: the node that takes over from a dead one adds it again.
 */
const REMEMBERED = 3600;

type Kept = Signal | { taken: true };

const signalKey = keyspace<Kept>('signal');
const signalsOfStream = (stream: string): Index<Kept> => `signals-of-stream:${stream}`;

export function openOutbox({ grants, queues, clock }: { grants: Store; queues: Queues; clock: Clock }): Outbox {
  let latest = 0;
  return {
    /** The event first, the queue second: who takes the queue for empty meanwhile finds that it has changed. */
    async add(stream, signal) {
      // The index goes by expiry: what this process adds after one another must not expire in the same millisecond.
      const ahead = Math.max(0, latest + 1 - clock.now());
      const write = { ttl: LIFE + ahead / 1000, indexes: [signalsOfStream(stream.id)] };
      const isNew = await grants.create(keyOf(stream.id, signal.jti), signal, write);
      latest = Math.max(latest, clock.now() + ahead);
      const change = (queue: Queue): Queue => ({ ...queue, waiting: queue.waiting + (isNew ? 1 : 0) });
      await queues.touch(stream, change, isTransmitted(stream, signal));
    },
    async resume(stream) {
      const now = clock.now();
      await queues.touch(stream, (queue) => ({ ...queue, attempts: 0, since: now, dueAt: now }), true);
    },
    async *waiting(stream) {
      for await (const { value } of everyRecord(grants, signalsOfStream(stream))) if ('jti' in value) yield value;
    },
    async remove(stream, names) {
      const keys = names.map((jti) => keyOf(stream.id, jti));
      const taken = (await grants.getMany(keys)).map(async (stored, at) => {
        if (stored === undefined || 'taken' in stored.value) return [];
        const isFirst = await grants.replace(keys[at] ?? '', { taken: true }, stored.version, { ttl: REMEMBERED });
        return isFirst ? [stored.value.jti] : [];
      });
      const removed = (await Promise.all(taken)).flat();
      const less = (queue: Queue): Queue => ({
        ...queue,
        waiting: Math.max(0, queue.waiting - removed.length),
        since: clock.now(),
      });
      if (removed.length > 0) await queues.adjust(stream, less);
      return removed;
    },
    async settle(stream) {
      // Looked at before the events are: what comes in between changes it, and then it stays.
      const queue = await queues.get(stream.id);
      if (queue === undefined || queue.value.waiting === 0) return;
      const first = await everyRecord(grants, signalsOfStream(stream.id)).next();
      if (first.done !== true) return;
      await queues.replace(stream, { ...queue.value, waiting: 0 }, queue.version, false);
    },
    async clear(stream) {
      for await (const keys of everyMember(grants, signalsOfStream(stream)))
        await Promise.all(keys.map((key) => grants.delete(key)));
      await queues.remove(stream);
    },
  };
}

/** A stream that stands still says no more than that (Shared Signals Framework 1.0 §8.1.2.1, §8.1.5). */
export function isTransmitted({ status }: Stream, { type }: Signal): boolean {
  return status === 'enabled' || (status === 'paused' && type === STREAM_UPDATED);
}

function keyOf(stream: string, jti: string): Key<Kept> {
  return signalKey(`${stream}:${jti}`);
}
