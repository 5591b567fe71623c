import type { Context } from 'koa';
import { z } from 'zod';
import type { Announce } from '../events/events.ts';
import { Refusal } from '../http/refusal.ts';
import { Problem } from '../http/problems.ts';
import { route, type Route } from '../http/route.ts';
import type { Clock } from '../lib/clock.ts';
import { ownStream, readBody, type Receiver, type StreamScope } from './receiver.ts';
import type { Signal } from './account-event.ts';
import { isTransmitted, type Outbox } from './outbox.ts';
import { setClaims, type TokenDependencies, type SignSet } from './security-event-token.ts';
import { POLL, type Stream, type Streams } from './streams.ts';

/** Maximum number of events in one response. The server signs each of them for that response. */
const MAX_EVENTS = 50;
/** Longest time in milliseconds for which a long poll is held open: less than the timeout of common proxies. */
const LONGEST_POLL = 25_000;
/** Milliseconds between two looks for events whose notice was lost. */
const POLL_INTERVAL = 2000;

const jti = z.string().max(200);
const pollSchema = z.object({
  maxEvents: z.int().min(0).optional(),
  returnImmediately: z.boolean().default(false),
  ack: z.array(jti).default([]),
  setErrs: z.record(jti, z.object({ err: z.string(), description: z.string().optional() })).default({}),
});

interface PollDependencies extends TokenDependencies {
  streams: Streams;
  outbox: Outbox;
  waiting: Waiting;
  sign: SignSet;
  guard: (needed: StreamScope) => (context: Context) => Promise<Receiver>;
  announce: Announce;
  clock: Clock;
}

/** Route for poll delivery (RFC 8936). Every poll returns an event again until the receiver acknowledges it. */
export function pollRoute(dependencies: PollDependencies): Route {
  return route('POST', '/ssf/poll/:stream', dependencies.guard('ssf.manage'), async (context, receiver) => {
    const asked = await readBody(context, pollSchema);
    const { stream: id } = context['params'] as Record<string, unknown>;
    const stream = await pollable(dependencies, receiver, id);
    await acknowledge(dependencies, stream, asked);
    const most = Math.min(asked.maxEvents ?? MAX_EVENTS, MAX_EVENTS);
    const isHeld = !asked.returnImmediately && most > 0;
    const found = isHeld ? await wait(dependencies, context, receiver, stream) : await take(dependencies, stream);
    if (found.length === 0) await dependencies.outbox.settle(stream);
    const signals = found.slice(0, most);
    context.body = { sets: await signed(dependencies, stream, signals), moreAvailable: found.length > signals.length };
  });
}

async function pollable({ streams }: PollDependencies, receiver: Receiver, id: unknown): Promise<Stream> {
  const stream = await ownStream(streams, receiver, id);
  if (stream.delivery.method === POLL) return stream;
  throw new Refusal('not_found', 'the events of this stream are pushed');
}

async function acknowledge(
  { outbox, announce }: PollDependencies,
  stream: Stream,
  { ack, setErrs }: z.output<typeof pollSchema>,
): Promise<void> {
  const removed = await outbox.remove(stream, [...new Set([...ack, ...Object.keys(setErrs)])]);
  for (const name of removed) {
    const facts = { client: stream.client, stream: stream.id, jti: name };
    const { err, description = '' } = setErrs[name] ?? { err: undefined };
    if (err === undefined) announce({ type: 'signals.delivered', ...facts });
    else announce({ type: 'signals.refused', ...facts, reason: `${err} ${description}`.slice(0, 300).trim() });
  }
}

/**
 * Reads the waiting events, at most one more than fits into a response. The extra one shows that more are available.
 */
async function take({ outbox }: PollDependencies, stream: Stream): Promise<Signal[]> {
  const found: Signal[] = [];
  for await (const signal of outbox.waiting(stream.id)) {
    if (isTransmitted(stream, signal)) found.push(signal);
    if (found.length > MAX_EVENTS) break;
  }
  return found;
}

/** Long polling (RFC 8936 §2.4): waits for an event, for the receiver to disconnect, or for the time limit. */
async function wait(
  dependencies: PollDependencies,
  context: Context,
  receiver: Receiver,
  stream: Stream,
): Promise<Signal[]> {
  const { clock, waiting } = dependencies;
  const until = clock.now() + LONGEST_POLL;
  const gone = new AbortController();
  // A connection that is already closed emits no `close`.
  if (context.res.destroyed) gone.abort();
  context.res.once('close', () => {
    gone.abort();
  });
  for (let now = stream; ; now = await pollable(dependencies, receiver, stream.id)) {
    // The wait begins before the look, so that no event is missed in between.
    const waiter = waiting.begin(stream.id);
    const found = await take(dependencies, now);
    if (found.length > 0 || waiter === undefined || gone.signal.aborted || clock.now() >= until) {
      waiter?.end();
      return found;
    }
    await waiter.until(Math.min(POLL_INTERVAL, until - clock.now()), gone.signal);
  }
}

async function signed(
  dependencies: PollDependencies,
  stream: Stream,
  signals: readonly Signal[],
): Promise<Record<string, string>> {
  try {
    const sets = signals.map(
      async (signal) => [signal.jti, await dependencies.sign(await setClaims(dependencies, stream, signal))] as const,
    );
    return Object.fromEntries(await Promise.all(sets));
  } catch (error) {
    throw new Problem('cannot-sign', error instanceof Error ? error.message : 'unknown', { 'Retry-After': '5' });
  }
}

/** Requests that are held open until their stream has an event. */
export interface Waiting {
  /** Registers a waiting request. @returns undefined if too many wait already, or after `end` */
  begin(stream: string): Waiter | undefined;
  wake(stream: string): void;
  /** Releases all waiters, and refuses new ones. */
  end(): void;
}

interface Waiter {
  /** Settles when the stream has something new, the time is up, or the caller has disconnected. */
  until(milliseconds: number, gone: AbortSignal): Promise<void>;
  end(): void;
}

/** Limits of waiting requests for a node and for a stream. One receiver cannot use up all connections. */
const MAX_WAITING = 500;
const MAX_WAITING_PER_STREAM = 5;

export function openWaiting(): Waiting {
  const waiting = new Map<string, Set<() => void>>();
  let total = 0;
  let isOver = false;
  const wake = (stream: string): void => {
    for (const leave of waiting.get(stream) ?? []) leave();
  };
  return {
    wake,
    begin(stream) {
      const others = waiting.get(stream) ?? new Set();
      if (isOver || total >= MAX_WAITING || others.size >= MAX_WAITING_PER_STREAM) return undefined;
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const end = (): void => {
        if (!others.delete(end)) return;
        total -= 1;
        if (others.size === 0) waiting.delete(stream);
        resolve(undefined);
      };
      waiting.set(stream, others.add(end));
      total += 1;
      return { end, until: (milliseconds, gone) => untilFirst(promise, milliseconds, gone).finally(end) };
    },
    end() {
      isOver = true;
      for (const stream of [...waiting.keys()]) wake(stream);
    },
  };
}

async function untilFirst(woken: Promise<unknown>, milliseconds: number, gone: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const stop = (): void => {
    resolve(undefined);
  };
  const timer = setTimeout(stop, milliseconds);
  gone.addEventListener('abort', stop);
  await Promise.race([woken, promise]);
  clearTimeout(timer);
  gone.removeEventListener('abort', stop);
}
