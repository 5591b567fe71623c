import type { Context } from 'koa';
import { z } from 'zod';
import type { Announce } from '../events/events.ts';
import { Refusal } from '../http/refusal.ts';
import { route, type Route } from '../http/route.ts';
import { ownStream, readBody, type Receiver, type StreamScope } from './receiver.ts';
import type { Outbox } from './outbox.ts';
import {
  changeSchema,
  deliveryFrom,
  describe,
  refuseForeignValues,
  suppliedSchema,
  type Change,
  type Supplied,
} from './stream-configuration.ts';
import { POLL, PUSH, type Stream, type Streams } from './streams.ts';
import type { Subjects } from './subjects.ts';

/** Maximum number of streams that one receiver may have. */
const MAX_STREAMS = 10;

export interface ManagementDependencies {
  issuer: string;
  streams: Streams;
  subjects: Subjects;
  outbox: Outbox;
  guard: (needed: StreamScope) => (context: Context) => Promise<Receiver>;
  /** Seals a text, so that only this server can read it, and only to send it to the given address. */
  seal: (url: string, text: string) => string;
  /** Returns the reason why the server would never call an address; undefined if it may. */
  whyNotCalled: (url: string) => string | undefined;
  announce: Announce;
}

const PATH = '/ssf/streams';

/** Routes for event stream management (Shared Signals Framework 1.0 §8.1.1). */
export function managementRoutes(dependencies: ManagementDependencies): Route[] {
  const manage = dependencies.guard('ssf.manage');
  return [
    route('POST', PATH, manage, (context, receiver) => create(dependencies, context, receiver)),
    route('GET', PATH, dependencies.guard('ssf.read'), (context, receiver) => read(dependencies, context, receiver)),
    route('PATCH', PATH, manage, (context, receiver) => change(dependencies, context, receiver, updated)),
    route('PUT', PATH, manage, (context, receiver) => change(dependencies, context, receiver, replaced)),
    route('DELETE', PATH, manage, (context, receiver) => remove(dependencies, context, receiver)),
  ];
}

async function create(
  dependencies: ManagementDependencies,
  context: Context,
  { client, reach }: Receiver,
): Promise<void> {
  const { issuer, streams, announce } = dependencies;
  const supplied = await readBody(context, suppliedSchema);
  refuseUncallable(dependencies, supplied);
  if ((await streams.list(client)).length >= MAX_STREAMS)
    throw new Refusal('access_denied', `this client has ${MAX_STREAMS} streams already`);
  const stream = await streams.create({
    client,
    // Shared Signals Framework 1.0 §8.1.1.1: the default delivery is polling.
    delivery: deliveryFrom(supplied.delivery ?? { method: POLL }, dependencies.seal),
    requested: supplied.events_requested ?? [],
    ...(supplied.description !== undefined && { description: supplied.description }),
    status: 'enabled',
  });
  announce({ type: 'signals.stream-created', client, stream: stream.id });
  context.status = 201;
  context.body = describe(issuer, stream, reach);
}

async function read({ issuer, streams }: ManagementDependencies, context: Context, receiver: Receiver): Promise<void> {
  const { stream_id: id } = context.query;
  if (id !== undefined) context.body = describe(issuer, await ownStream(streams, receiver, id), receiver.reach);
  else context.body = (await streams.list(receiver.client)).map((stream) => describe(issuer, stream, receiver.reach));
}

type Edit = (dependencies: ManagementDependencies, now: Stream, change: Change) => Stream;

async function change(
  dependencies: ManagementDependencies,
  context: Context,
  receiver: Receiver,
  edit: Edit,
): Promise<void> {
  const { issuer, streams, announce, outbox } = dependencies;
  const asked = await readBody(context, changeSchema);
  const before = await ownStream(streams, receiver, asked.stream_id);
  refuseForeignValues(asked, describe(issuer, before, receiver.reach));
  refuseUncallable(dependencies, asked);
  const after = await streams.change(before.id, (now) => edit(dependencies, now, asked));
  if (after === undefined) throw new Refusal('not_found', 'there is no such stream');
  // Waiting events are sent by the new delivery method.
  if (after.status === 'enabled') await outbox.resume(after);
  announce({ type: 'signals.stream-changed', client: receiver.client, stream: after.id, status: after.status });
  context.body = describe(issuer, after, receiver.reach);
}

/** Merges a partial update: missing members keep their values (§8.1.1.3). */
function updated({ seal }: ManagementDependencies, now: Stream, asked: Change): Stream {
  return {
    ...now,
    ...(asked.delivery && { delivery: deliveryFrom(asked.delivery, seal, now.delivery) }),
    ...(asked.events_requested && { requested: asked.events_requested }),
    ...(asked.description !== undefined && { description: asked.description }),
  };
}

/** Replaces the configuration: missing members are removed (§8.1.1.4). */
function replaced({ seal }: ManagementDependencies, { description: _, ...now }: Stream, asked: Change): Stream {
  return {
    ...now,
    delivery: deliveryFrom(asked.delivery ?? { method: POLL }, seal, now.delivery),
    requested: asked.events_requested ?? [],
    ...(asked.description !== undefined && { description: asked.description }),
  };
}

async function remove(dependencies: ManagementDependencies, context: Context, receiver: Receiver): Promise<void> {
  const { streams, subjects, outbox, announce } = dependencies;
  const { stream_id: id } = z.object({ stream_id: z.string() }).safeParse(context.query).data ?? {};
  const stream = await ownStream(streams, receiver, id);
  await streams.remove(stream.id);
  await subjects.forgetStream(stream.id);
  await outbox.clear(stream.id);
  announce({ type: 'signals.stream-deleted', client: receiver.client, stream: stream.id });
  context.status = 204;
}

/**
 * Refuses a push address if the URL alone shows that the server would not call it. A host name is resolved only when
 * the server calls it.
 */
function refuseUncallable({ whyNotCalled }: ManagementDependencies, { delivery }: Supplied): void {
  if (delivery?.method !== PUSH) return;
  const why = whyNotCalled(delivery.endpoint_url);
  if (why !== undefined) throw new Refusal('invalid_request', `delivery.endpoint_url ${why}`);
}
