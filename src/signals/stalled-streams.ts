import type { Announce } from '../events/events.ts';
import { epochSeconds, type Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import { STREAM_UPDATED } from './account-event.ts';
import type { Outbox, Queue } from './outbox.ts';
import type { Stream, Streams } from './streams.ts';

/** Maximum number of events that may wait in one stream, so that an absent receiver cannot fill the store. */
const MAX_WAITING = 10_000;
/** Longest time without a delivery, in milliseconds. It ends a day before the oldest waiting event expires. */
const LONGEST_STALL = 6 * 86_400_000;

export interface StallDependencies {
  streams: Streams;
  outbox: Outbox;
  announce: Announce;
  clock: Clock;
  random: Random;
}

/**
 * Pauses a stream whose receiver has taken no event for too long, or has too many waiting events. The waiting events
 * stay; later ones are lost. An event and the stream's status give the reason (Shared Signals Framework 1.0 §8.1.5).
 * @returns whether the stream is stalled, and so must get no more events
 */
export async function pauseIfStalled(
  { streams, outbox, announce, clock, random }: StallDependencies,
  { id, client, reason }: Stream,
): Promise<boolean> {
  const queue = await outbox.queueOf(id);
  const stalled = queue && stallReason(queue, clock.now());
  if (stalled === undefined || stalled === reason) return stalled !== undefined;
  const paused = await streams.change(id, (now) => ({ ...now, status: 'paused', reason: stalled }));
  if (paused === undefined) return true;
  announce({ type: 'signals.paused', client, stream: id, reason: stalled });
  await outbox.add(paused, {
    jti: newId('set', clock, random),
    iat: epochSeconds(clock),
    subject: { format: 'opaque', id },
    type: STREAM_UPDATED,
    event: { status: 'paused', reason: stalled },
  });
  return true;
}

function stallReason({ waiting, since }: Queue, now: number): string | undefined {
  if (waiting >= MAX_WAITING) return 'too many events wait for the receiver';
  if (waiting > 0 && now - since > LONGEST_STALL) return 'the receiver has taken no event for six days';
  return undefined;
}
