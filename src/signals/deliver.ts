import type { Announce } from '../events/events.ts';
import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import type { Lease } from '../storage/lease.ts';
import { QueueWorker } from '../storage/queue-worker.ts';
import type { Store } from '../storage/store.ts';
import { pauseAfter, WorkQueue } from '../storage/work-queue.ts';
import type { Signal } from './account-event.ts';
import { isTransmitted, LIFE, queueKey, queuesToPush, type Outbox, type Queue } from './outbox.ts';
import type { Pushed } from './push.ts';
import { pauseIfStalled } from './stalled-streams.ts';
import { isPushed, type PushStream, type Streams } from './streams.ts';

/** Seconds before each retry of a stream. The last value repeats. */
const PAUSES = [1, 5, 15, 60, 300, 900, 3600];
/** Length in milliseconds of the lease under which a node pushes a stream. */
const LEASE = 10_000;
const POLL_INTERVAL = 1000;
/** Maximum number of streams that one node pushes at the same time. */
const AT_ONCE = 100;

interface DeliveryDependencies {
  grants: Store;
  streams: Streams;
  outbox: Outbox;
  announce: Announce;
  clock: Clock;
  random: Random;
  /** Tells whether the client may still receive events. */
  mayReceive: (client: string) => Promise<boolean>;
  push: (stream: PushStream, signal: Signal) => Promise<Pushed>;
  /** Reports that the store did not answer. Waiting events are pushed later. */
  reportFailure: (error: unknown) => void;
}

/**
 * Pushes waiting events until their receivers accept them, each at least once. One node at a time pushes a stream, in
 * order. A receiver that does not answer delays no other. If a node crashes, another continues.
 * @returns a function that stops the delivery, and waits for current pushes
 */
export async function startDelivery(dependencies: DeliveryDependencies): Promise<() => Promise<void>> {
  const { streams, outbox, reportFailure } = dependencies;
  const worker = new QueueWorker(openPushQueue(dependencies), {
    work: (lease, isClosing) => pushStream(dependencies, lease, isClosing),
    ...{ pollInterval: POLL_INTERVAL, atOnce: AT_ONCE, reportFailure },
  });
  /**
   * Streams that this node is pushing because of a notice. Events that arrive meanwhile are sent by the running push,
   * or after the next look.
   */
  const noticed = new Map<string, Promise<void>>();
  const pushNow = async (id: string): Promise<void> => {
    const stream = await streams.find(id);
    // A paused stream holds its events back, so there is nothing to push.
    if (stream !== undefined && isPushed(stream) && stream.status === 'enabled') await worker.now([queueKey(id)]);
  };
  const unsubscribe = await outbox.onNotice((id) => {
    if (noticed.has(id)) return;
    const pushing = pushNow(id)
      .catch(reportFailure)
      .finally(() => noticed.delete(id));
    noticed.set(id, pushing);
  });
  worker.start();
  return async () => {
    await Promise.all([worker.close(), unsubscribe()]);
    await Promise.all(noticed.values());
  };
}

/** New events change a queue's record during a lease, so the record's owner, not its version, identifies the lease. */
function openPushQueue({ grants: store, clock, random }: DeliveryDependencies): WorkQueue<Queue> {
  const node = newId('node', clock, random);
  return new WorkQueue({
    ...{ store, clock, index: queuesToPush, life: LIFE, lease: LEASE },
    claim: (queue) => ({ ...queue, owner: node }),
    isHeld: ({ owner }) => owner === node,
  });
}

/**
 * Pushes a stream's events until none is left. If events are added meanwhile, `idle` returns false, and the loop goes
 * on.
 */
async function pushStream(
  dependencies: DeliveryDependencies,
  lease: Lease<Queue>,
  isClosing: () => boolean,
): Promise<void> {
  while (await lease.refresh()) {
    const waiting = await pushWaiting(dependencies, lease, isClosing);
    if (waiting === undefined) return;
    if (await lease.idle((queue) => ({ ...released(queue, dependencies.clock), waiting }))) return;
  }
}

/**
 * Pushes the waiting events in order.
 * @returns the number of events that the stream holds back; undefined once the lease is over
 */
async function pushWaiting(
  dependencies: DeliveryDependencies,
  lease: Lease<Queue>,
  isClosing: () => boolean,
): Promise<number | undefined> {
  const { outbox, streams, clock, mayReceive } = dependencies;
  const { stream: id } = lease.value;
  let heldBack = 0;
  for await (const signal of outbox.waiting(id)) {
    if (isClosing()) {
      await lease.reschedule((queue) => released(queue, clock));
      return undefined;
    }
    // The stream is read again for each event, because the receiver or the operator may have changed it.
    const stream = await streams.find(id);
    if (stream === undefined || !(await mayReceive(stream.client))) {
      await outbox.clear(id);
      return undefined;
    }
    if (!isPushed(stream) || !isTransmitted(stream, signal)) heldBack += 1;
    else if (!(await pushOne(dependencies, lease, stream, signal))) return undefined;
  }
  return heldBack;
}

/** Pushes one event. @returns whether to continue with the next one */
async function pushOne(
  { streams, outbox, announce, clock, random, push }: DeliveryDependencies,
  lease: Lease<Queue>,
  stream: PushStream,
  signal: Signal,
): Promise<boolean> {
  const facts = { client: stream.client, stream: stream.id, jti: signal.jti };
  const pushed = await push(stream, signal);
  if (pushed.became === 'failed') {
    await lease.reschedule((queue) => {
      const attempts = queue.attempts + 1;
      const now = released(queue, clock);
      return { ...now, attempts, dueAt: now.dueAt + variedPause(attempts, random) };
    });
    announce({ type: 'signals.undelivered', ...facts, attempt: lease.value.attempts, reason: pushed.reason });
    await pauseIfStalled({ streams, outbox, announce, clock, random }, stream);
    return false;
  }
  await outbox.remove(stream, [signal.jti]);
  if (pushed.became === 'taken') announce({ type: 'signals.delivered', ...facts });
  else announce({ type: 'signals.refused', ...facts, reason: pushed.reason });
  return lease.renew((queue) => ({ ...queue, attempts: 0 }));
}

/** Returns a queue without its lease, so that any node may push it at once. */
function released({ owner: _, ...queue }: Queue, clock: Clock): Queue {
  return { ...queue, dueAt: clock.now() };
}

/**
 * Returns the pause in milliseconds. It varies by up to a quarter, so that streams that failed together do not retry
 * together.
 */
function variedPause(failures: number, random: Random): number {
  const pause = pauseAfter(Math.min(failures, PAUSES.length), PAUSES) ?? 0;
  return pause * (0.75 + random.bytes(2).readUInt16BE() / 131_070);
}
