import { newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import type { Signal } from './account-event.ts';
import { isTransmitted } from './outbox.ts';
import type { Pushed } from './push.ts';
import type { Queue } from './queues.ts';
import { pauseIfStalled, type StalledStreamParts } from './stalled-streams.ts';
import { isPushed, type PushStream, type Stream } from './streams.ts';

/** Seconds before a stream is retried; the last pause repeats. */
const PAUSES = [1, 5, 15, 60, 300, 900, 3600];
/** Lease of a pushing node in milliseconds: longer than one push can take. */
const LEASE = 10_000;
const LOOK_EVERY = 1000;
/** Streams that one node pushes at a time. */
const MOST_AT_ONCE = 100;

export interface DeliverParts extends StalledStreamParts {
  /** Tells whether the client may still receive events. */
  mayReceive: (client: string) => Promise<boolean>;
  push: (stream: PushStream, signal: Signal) => Promise<Pushed>;
  /** Reports that the store was away: waiting events are pushed later. */
  reportFailure: (error: unknown) => void;
}

/**
 * Pushes waiting events at least once, each stream in order and by one node at a time, until its receiver accepts them.
 * An absent receiver delays no other. Another node continues after a crash. @returns a function that stops, and waits
 * for current pushes
 */
export async function startDelivery(parts: DeliverParts): Promise<() => Promise<void>> {
  const { queues, streams, outbox, announce, clock, random, mayReceive, push, reportFailure } = parts;
  const me = newId('node', clock, random);
  const running = new Map<string, Promise<void>>();
  const stopping = new AbortController();
  const isStopping = () => stopping.signal.aborted;
  const work: Work = { queues, streams, outbox, announce, clock, random, mayReceive, push, me, isStopping };
  const serve = (stream: string, isListed: boolean): void => {
    if (isStopping() || running.has(stream) || running.size >= MOST_AT_ONCE) return;
    const pushing = pushAll(work, stream, isListed)
      .catch(reportFailure)
      .finally(() => running.delete(stream));
    running.set(stream, pushing);
  };
  const look = async (): Promise<void> => {
    for (const stream of await queues.due()) serve(stream, true);
  };
  let looking: Promise<void> = Promise.resolve();
  const unsubscribe = await queues.onHint((stream) => {
    serve(stream, false);
  });
  const timer = setInterval(() => {
    looking = looking.then(look).catch(reportFailure);
  }, LOOK_EVERY).unref();
  return async () => {
    stopping.abort();
    clearInterval(timer);
    await unsubscribe();
    await looking;
    await Promise.all(running.values());
  };
}

type Work = Omit<DeliverParts, 'reportFailure'> & { me: string; isStopping: () => boolean };

/** @param isListed whether there is certainly something to push; a notice for a paused stream causes no work */
async function pushAll(work: Work, id: string, isListed: boolean): Promise<void> {
  const stream = await work.streams.find(id);
  if (stream === undefined) return work.outbox.clear(id);
  if (!isPushed(stream) || !(isListed || stream.status === 'enabled')) return;
  if (!(await claim(work, stream))) return;
  while (await pushOnce(work, id)) if (await isDone(work, id)) return;
}

/** The node that moves the due time pushes; others find it not due. */
async function claim({ queues, clock, me }: Work, stream: Stream): Promise<boolean> {
  const queue = await queues.get(stream.id);
  if (queue === undefined || queue.value.dueAt > clock.now()) return false;
  return queues.replace(stream, { ...queue.value, owner: me, dueAt: clock.now() + LEASE }, queue.version, true);
}

/** @returns whether it reached the end of the queue */
async function pushOnce(work: Work, id: string): Promise<boolean> {
  for await (const signal of work.outbox.waiting(id)) {
    if (work.isStopping()) return giveBack(work, id);
    // Read again each time, because the receiver or the operator may have changed it.
    const stream = await work.streams.find(id);
    if (stream === undefined || !(await work.mayReceive(stream.client))) {
      await work.outbox.clear(id);
      return false;
    }
    if (!isPushed(stream)) return giveBack(work, id);
    if (!isTransmitted(stream, signal)) continue;
    if (!(await settle(work, stream, signal, await work.push(stream, signal)))) return false;
  }
  return true;
}

/** @returns whether to continue with the next event */
async function settle(work: Work, stream: Stream, signal: Signal, pushed: Pushed): Promise<boolean> {
  const { clock, announce, outbox } = work;
  const facts = { client: stream.client, stream: stream.id, jti: signal.jti };
  if (pushed.became === 'failed') {
    let attempt = 0;
    await hold(work, stream, ({ owner: _, ...queue }) => {
      attempt = queue.attempts + 1;
      return { ...queue, attempts: attempt, dueAt: clock.now() + pauseAfter(attempt, work.random) };
    });
    announce({ type: 'signals.undelivered', ...facts, attempt, reason: pushed.reason });
    await pauseIfStalled(work, stream);
    return false;
  }
  await outbox.remove(stream, [signal.jti]);
  if (pushed.became === 'taken') announce({ type: 'signals.delivered', ...facts });
  else announce({ type: 'signals.refused', ...facts, reason: pushed.reason });
  return hold(work, stream, (queue) => ({ ...queue, attempts: 0, dueAt: clock.now() + LEASE }));
}

/** Changes the queue while this node owns it. @returns whether it still did */
async function hold({ queues, me }: Work, stream: Stream, change: (queue: Queue) => Queue): Promise<boolean> {
  for (;;) {
    const queue = await queues.get(stream.id);
    if (queue?.value.owner !== me) return false;
    if (await queues.replace(stream, change(queue.value), queue.version, true)) return true;
  }
}

/** Releases the queue at shutdown, so that another node continues at once. @returns false: there is more */
async function giveBack(work: Work, id: string): Promise<boolean> {
  const stream = await work.streams.find(id);
  const free = ({ owner: _, ...queue }: Queue): Queue => ({ ...queue, dueAt: work.clock.now() });
  if (stream !== undefined) await hold(work, stream, free);
  return false;
}

/** Tells whether the stream has nothing left. The queue is read first, so that a change after that is noticed. */
async function isDone({ outbox, queues, streams, me, clock }: Work, id: string): Promise<boolean> {
  const stream = await streams.find(id);
  const queue = await queues.get(id);
  if (stream === undefined || queue?.value.owner !== me) return true;
  let held = 0;
  for await (const signal of outbox.waiting(id)) {
    if (isTransmitted(stream, signal)) return false;
    held += 1;
  }
  const { owner: _, ...free } = queue.value;
  return queues.replace(stream, { ...free, waiting: held, dueAt: clock.now() }, queue.version, false);
}

/** Pause in milliseconds, varied by a quarter, so that streams that failed together do not retry together. */
function pauseAfter(attempt: number, random: Random): number {
  const seconds = PAUSES[Math.min(attempt, PAUSES.length) - 1] ?? 0;
  return seconds * 1000 * (0.75 + random.bytes(2).readUInt16BE() / 131_070);
}
