import type { Clock } from '../lib/clock.ts';
import { everyMember, everyRecord } from '../storage/every-member.ts';
import type { Due } from '../storage/lease.ts';
import { keyspace, type Index, type Key, type Store, type WriteOptions } from '../storage/store.ts';
import { update, upsert } from '../storage/update.ts';
import { type Signal, STREAM_UPDATED } from './account-event.ts';
import { isPushed, type Stream } from './streams.ts';

/** Lifetime in seconds of a waiting event, and of a queue from its latest write. */
export const LIFE = 7 * 86_400;
/**
 * Lifetime in seconds of the mark that replaces a delivered event. The mark prevents a second delivery if a node takes
 * over from a dead one and adds the event again.
 */
const DELIVERY_REMEMBERED_FOR = 3600;
/** Channel of the notices that a stream has something new. */
const NOTICES = 'signals';

/**
 * Delivery state of one stream. Every new event changes it, so that a node with an outdated view cannot mark the queue
 * as empty.
 */
export interface Queue extends Due {
  stream: string;
  /** Approximate number of waiting events; corrected when no event waits. */
  waiting: number;
  /** Time of the last delivery, or of the first event if nothing was delivered yet, in milliseconds since the epoch. */
  since: number;
  /** Number of pushes that failed in a row. */
  attempts: number;
  /** The node that has the lease; absent without one. */
  owner?: string;
}

/** A waiting event, or the mark that it was delivered. */
type OutboxRecord = Signal | { taken: true };

export const queueKey: (stream: string) => Key<Queue> = keyspace<Queue>('signal-queue');
/** The queues that have something to push. */
export const queuesToPush: Index<Queue> = 'signal-queues';
const signalKey = keyspace<OutboxRecord>('signal');
const signalsOfStream = (stream: string): Index<OutboxRecord> => `signals-of-stream:${stream}`;

/**
 * Events that wait for their receivers, in order within each stream. They exist only in the store, so any node can
 * deliver them.
 */
export class Outbox {
  readonly #grants: Store;
  readonly #clock: Clock;
  #latest = 0;

  constructor({ grants, clock }: { grants: Store; clock: Clock }) {
    this.#grants = grants;
    this.#clock = clock;
  }

  /** Adds an event and notifies every node. A repeated call adds nothing. */
  async add(stream: Stream, signal: Signal): Promise<void> {
    // The index sorts by expiry, so this process gives each event a later expiry than the one before.
    const ahead = Math.max(0, this.#latest + 1 - this.#clock.now());
    const write = { ttl: LIFE + ahead / 1000, indexes: [signalsOfStream(stream.id)] };
    // The event is written before the queue, so that a node that is about to mark the queue as empty notices it.
    const isNew = await this.#grants.create(keyOf(stream.id, signal.jti), signal, write);
    this.#latest = Math.max(this.#latest, this.#clock.now() + ahead);
    const change = (queue: Queue): Queue => ({ ...queue, waiting: queue.waiting + (isNew ? 1 : 0) });
    await this.#touch(stream, change, isTransmitted(stream, signal));
  }

  /** Resumes a paused stream, and resets its failure count. */
  async resume(stream: Stream): Promise<void> {
    const now = this.#clock.now();
    // A node that is pushing the stream keeps its lease, because two nodes at once would break the order.
    const dueAt = (queue: Queue): number => (queue.owner === undefined ? now : queue.dueAt);
    await this.#touch(stream, (queue) => ({ ...queue, attempts: 0, since: now, dueAt: dueAt(queue) }), true);
  }

  /** Iterates over a stream's events in order of arrival. */
  async *waiting(stream: string): AsyncGenerator<Signal> {
    for await (const { value } of everyRecord(this.#grants, signalsOfStream(stream))) if ('jti' in value) yield value;
  }

  /** Returns a stream's delivery state; undefined before its first event. */
  async queueOf(stream: string): Promise<Queue | undefined> {
    return (await this.#grants.get(queueKey(stream)))?.value;
  }

  /** Removes acknowledged events. @returns the names of those that were still waiting */
  async remove(stream: Stream, names: readonly string[]): Promise<string[]> {
    const keys = names.map((jti) => keyOf(stream.id, jti));
    const removing = (await this.#grants.getMany(keys)).map(async (stored, at) => {
      if (stored === undefined || 'taken' in stored.value) return [];
      const write = { ttl: DELIVERY_REMEMBERED_FOR };
      const isFirst = await this.#grants.replace(keys[at] ?? '', { taken: true }, stored.version, write);
      return isFirst ? [stored.value.jti] : [];
    });
    const removed = (await Promise.all(removing)).flat();
    if (removed.length > 0) await this.#countDown(stream, removed.length);
    return removed;
  }

  /** Sets the count of a polled stream to 0 if no event waits, because expired events do not lower the count. */
  async settle({ id }: Stream): Promise<void> {
    // Reads the queue before the events, so that a concurrent addition prevents the write.
    const queue = await this.#grants.get(queueKey(id));
    if (queue === undefined || queue.value.waiting === 0) return;
    const first = await everyRecord(this.#grants, signalsOfStream(id)).next();
    if (first.done !== true) return;
    await this.#grants.replace(queueKey(id), { ...queue.value, waiting: 0 }, queue.version, { ttl: LIFE });
  }

  /** Removes all events of a stream. */
  async clear(stream: string): Promise<void> {
    for await (const keys of everyMember(this.#grants, signalsOfStream(stream)))
      await Promise.all(keys.map((key) => this.#grants.delete(key)));
    await this.#grants.delete(queueKey(stream));
  }

  /**
   * Listens for notices.
   * @param listener gets the id of a stream that has something new
   * @returns a function that stops listening
   */
  onNotice(listener: (stream: string) => void): Promise<() => Promise<void>> {
    return this.#grants.subscribe(NOTICES, listener);
  }

  /** Changes a queue, or creates it, and notifies every node. @param isBusy whether the queue has something to push */
  async #touch(stream: Stream, change: (now: Queue) => Queue, isBusy: boolean): Promise<void> {
    const [grants, now] = [this.#grants, this.#clock.now()];
    const [key, write] = [queueKey(stream.id), queueWrite(stream, isBusy)];
    const fresh: Queue = { stream: stream.id, waiting: 0, since: now, attempts: 0, dueAt: now };
    await upsert(grants, key, await grants.get(key), { first: change(fresh), change }, write);
    await grants.publish(NOTICES, stream.id);
  }

  async #countDown(stream: Stream, by: number): Promise<void> {
    const key = queueKey(stream.id);
    const since = this.#clock.now();
    const change = (queue: Queue): Queue => ({ ...queue, waiting: Math.max(0, queue.waiting - by), since });
    const write = queueWrite(stream, stream.status === 'enabled');
    await update(this.#grants, key, await this.#grants.get(key), change, write);
  }
}

/**
 * Tells whether a stream sends an event now. A paused stream sends only the event that announces its pause (Shared
 * Signals Framework 1.0 §8.1.2.1, §8.1.5).
 */
export function isTransmitted({ status }: Stream, { type }: Signal): boolean {
  return status === 'enabled' || (status === 'paused' && type === STREAM_UPDATED);
}

function keyOf(stream: string, jti: string): Key<OutboxRecord> {
  return signalKey(`${stream}:${jti}`);
}

/** Returns the options for writing a queue. The index lists only pushed streams that have something to push. */
function queueWrite(stream: Stream, isBusy: boolean): WriteOptions {
  return { ttl: LIFE, indexes: isBusy && isPushed(stream) ? [queuesToPush] : [] };
}
