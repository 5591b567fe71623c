import { z } from 'zod';
import { eventsSupported, type Reach } from './account-event.ts';
import { Refusal } from '../http/refusal.ts';
import { POLL, PUSH, type Delivery, type Stream } from './streams.ts';

/** Shortest time in seconds between two verification requests. */
export const MIN_VERIFICATION_INTERVAL = 30;
const LONGEST_DESCRIPTION = 200;

/** Printable ASCII, because a line break would begin another header. */
const headerValue = z.string().regex(/^[\x21-\x7E]([\x20-\x7E]{0,4094}[\x21-\x7E])?$/, 'must be printable ASCII');

const delivery = z.discriminatedUnion('method', [
  z.object({ method: z.literal(POLL), endpoint_url: z.string().optional() }),
  z.object({
    method: z.literal(PUSH),
    endpoint_url: z.url().max(2048),
    authorization_header: headerValue.optional(),
  }),
]);

/** The configuration that a receiver supplies for its stream (Shared Signals Framework 1.0 §8.1.1). */
export const suppliedSchema = z.object({
  delivery: delivery.optional(),
  events_requested: z.array(z.string().max(300)).max(100).optional(),
  description: z
    .string()
    .transform((text) => text.slice(0, LONGEST_DESCRIPTION))
    .optional(),
});

export type Supplied = z.output<typeof suppliedSchema>;

/** A receiver's change to its stream. It may repeat the members that the transmitter supplies. */
export const changeSchema = suppliedSchema.extend({
  stream_id: z.string(),
  iss: z.unknown().optional(),
  aud: z.unknown().optional(),
  events_supported: z.unknown().optional(),
  events_delivered: z.unknown().optional(),
  min_verification_interval: z.unknown().optional(),
});

export type Change = z.output<typeof changeSchema>;

/** Describes a stream to its receiver, without the authorization header for pushes. */
export function describe(issuer: string, { id, client, delivery, ...stream }: Stream, reach: Reach) {
  const supported = eventsSupported(reach);
  return {
    stream_id: id,
    iss: issuer,
    aud: client,
    events_supported: supported,
    events_requested: stream.requested,
    events_delivered: supported.filter((type) => stream.requested.includes(type)),
    delivery: {
      method: delivery.method,
      endpoint_url: delivery.method === PUSH ? delivery.endpoint_url : `${issuer}/ssf/poll/${id}`,
    },
    min_verification_interval: MIN_VERIFICATION_INTERVAL,
    ...(stream.description !== undefined && { description: stream.description }),
  };
}

/**
 * Refuses new values for members that only the transmitter sets. A receiver may send their current values back.
 * @throws Refusal
 */
export function refuseForeignValues(change: Change, now: ReturnType<typeof describe>): void {
  const names = ['iss', 'aud', 'events_supported', 'events_delivered', 'min_verification_interval'] as const;
  const wrong = names.find((name) => change[name] !== undefined && !isSame(change[name], now[name]));
  if (wrong !== undefined) throw new Refusal('invalid_request', `${wrong} is set by the transmitter`);
  const { delivery: asked } = change;
  if (asked?.method === POLL && asked.endpoint_url !== undefined && asked.endpoint_url !== now.delivery.endpoint_url)
    throw new Refusal('invalid_request', 'delivery.endpoint_url is set by the transmitter');
}

function isSame(given: unknown, ours: unknown): boolean {
  const sorted = (value: unknown): unknown => (Array.isArray(value) ? value.map(String).toSorted() : value);
  return JSON.stringify(sorted(given)) === JSON.stringify(sorted(ours));
}

/**
 * Returns the new delivery settings. A receiver cannot read its authorization header back, so a change without one
 * keeps the old header, unless the URL changes.
 */
export function deliveryFrom(
  asked: NonNullable<Supplied['delivery']>,
  seal: (url: string, text: string) => string,
  before?: Delivery,
): Delivery {
  if (asked.method === POLL) return { method: POLL };
  const { endpoint_url, authorization_header: header } = asked;
  const known = before?.method === PUSH && before.endpoint_url === endpoint_url ? before.authorization : undefined;
  const authorization = header === undefined ? known : seal(endpoint_url, header);
  return { method: PUSH, endpoint_url, ...(authorization !== undefined && { authorization }) };
}
