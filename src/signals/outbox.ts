import type { Clock } from '../lib/clock.ts';
import { everyMember, everyRecord } from '../storage/every-member.ts';
import { keyspace, type Index, type Key, type Store } from '../storage/store.ts';
import { STREAM_UPDATED } from './event-types.ts';
import type { Signal } from './account-event.ts';
import { LIFE, type Queue, type Queues } from './queues.ts';
import type { Stream } from './streams.ts';

/**
 * Events that wait for their receivers, in order within each stream. They are in the store alone, so any node can
 * continue.
 */
export interface Outbox {
  /** Adds an event; repeated calls add nothing. */
  add(stream: Stream, signal: Signal): Promise<void>;
  /** Resumes a paused stream, and forgets its failures. */
  resume(stream: Stream): Promise<void>;
  /** Iterates over a stream's events in order of arrival. */
  waiting(stream: string): AsyncIterable<Signal>;
  /** Removes acknowledged events. @returns those that existed */
  remove(stream: Stream, names: readonly string[]): Promise<string[]>;
  /** Corrects the count of an empty queue, because expired events are not counted down. */
  settle(stream: Stream): Promise<void>;
  /** Removes all events of a stream. */
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
    /** Writes the event before the queue, so that a node that finds the queue empty notices the change. */
    async add(stream, signal) {
      // The index sorts by expiry, so this process gives successive events different milliseconds.
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
      // Reads the queue before the events, so that a concurrent addition prevents its deletion.
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

/** A paused stream sends only that it is paused (Shared Signals Framework 1.0 §8.1.2.1, §8.1.5). */
export function isTransmitted({ status }: Stream, { type }: Signal): boolean {
  return status === 'enabled' || (status === 'paused' && type === STREAM_UPDATED);
}

function keyOf(stream: string, jti: string): Key<Kept> {
  return signalKey(`${stream}:${jti}`);
}
