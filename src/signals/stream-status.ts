import type { Context } from 'koa';
import { z } from 'zod';
import { Refusal } from '../http/refusal.ts';
import { route, type Route } from '../http/route.ts';
import { epochSeconds, type Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import { keyspace, type Store } from '../storage/store.ts';
import { ownStream, readBody, type Receiver } from './receiver.ts';
import { VERIFICATION } from './account-event.ts';
import type { ManagementDependencies } from './management.ts';
import { MIN_VERIFICATION_INTERVAL } from './stream-configuration.ts';
import type { Stream } from './streams.ts';

type Dependencies = Pick<ManagementDependencies, 'streams' | 'outbox' | 'guard' | 'announce'> & {
  grants: Store;
  clock: Clock;
  random: Random;
};

const statusSchema = z.object({
  stream_id: z.string(),
  status: z.enum(['enabled', 'paused', 'disabled']),
  reason: z.string().max(300).optional(),
});
const verificationSchema = z.object({ stream_id: z.string(), state: z.string().max(1000).optional() });

/** Record that marks a stream as recently verified. */
const verifiedKey = keyspace<{ verified: true }>('signal-verification');

/** Routes for a stream's status (Shared Signals Framework 1.0 §8.1.2) and its verification (§8.1.4). */
export function statusRoutes(dependencies: Dependencies): Route[] {
  const manage = dependencies.guard('ssf.manage');
  return [
    route('GET', '/ssf/status', dependencies.guard('ssf.read'), async (context, receiver) => {
      context.body = statusOf(await ownStream(dependencies.streams, receiver, context.query['stream_id']));
    }),
    route('POST', '/ssf/status', manage, (context, receiver) => setStatus(dependencies, context, receiver)),
    route('POST', '/ssf/verification', manage, (context, receiver) => verify(dependencies, context, receiver)),
  ];
}

function statusOf({ id, status, reason }: Stream) {
  return { stream_id: id, status, ...(reason !== undefined && { reason }) };
}

async function setStatus(dependencies: Dependencies, context: Context, receiver: Receiver): Promise<void> {
  const { streams, outbox, announce } = dependencies;
  const { stream_id: id, status, reason } = await readBody(context, statusSchema);
  await ownStream(streams, receiver, id);
  const stream = await streams.change(id, ({ reason: _, ...now }) => ({
    ...now,
    status,
    ...(reason !== undefined && { reason }),
  }));
  if (stream === undefined) throw new Refusal('not_found', 'there is no such stream');
  if (status === 'enabled') await outbox.resume(stream);
  if (status === 'disabled') await outbox.clear(id);
  announce({ type: 'signals.stream-changed', client: receiver.client, stream: id, status });
  context.body = statusOf(stream);
}

async function verify(dependencies: Dependencies, context: Context, receiver: Receiver): Promise<void> {
  const { streams, outbox, grants, clock, random } = dependencies;
  const { stream_id: id, state } = await readBody(context, verificationSchema);
  const stream = await ownStream(streams, receiver, id);
  if (stream.status === 'disabled') throw new Refusal('invalid_request', 'the stream is disabled');
  if (!(await grants.create(verifiedKey(id), { verified: true }, { ttl: MIN_VERIFICATION_INTERVAL }))) {
    const headers = { 'Retry-After': String(MIN_VERIFICATION_INTERVAL) };
    throw new Refusal('too_many_requests', `at most once in ${MIN_VERIFICATION_INTERVAL} seconds`, { headers });
  }
  await outbox.add(stream, {
    jti: newId('set', clock, random),
    iat: epochSeconds(clock),
    subject: { format: 'opaque', id },
    type: VERIFICATION,
    event: state === undefined ? {} : { state },
  });
  context.status = 204;
}
