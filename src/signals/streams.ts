import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import { everyRecord } from '../storage/every-member.ts';
import { keyspace, type Index, type Store } from '../storage/store.ts';
import { update } from '../storage/update.ts';

export const PUSH = 'urn:ietf:rfc:8935';
export const POLL = 'urn:ietf:rfc:8936';

/** Status of a stream (Shared Signals Framework 1.0 §8.1.2.1). */
type StreamState = 'enabled' | 'paused' | 'disabled';

/** A receiver's stream of events, as stored. */
export interface Stream {
  id: string;
  /** The stream's owner, and the audience of its events. */
  client: string;
  delivery: Delivery;
  /** URIs of the event types that the receiver requested. This server may not know all of them. */
  requested: readonly string[];
  description?: string;
  status: StreamState;
  reason?: string;
}

export type Delivery =
  | { method: typeof POLL }
  | {
      method: typeof PUSH;
      endpoint_url: string;
      /** The sealed `Authorization` header that the receiver demands. */
      authorization?: string;
    };

/** A stream whose events are pushed. */
export type PushStream = Stream & { delivery: Extract<Delivery, { method: typeof PUSH }> };

export function isPushed(stream: Stream): stream is PushStream {
  return stream.delivery.method === PUSH;
}

export interface Streams {
  create(stream: Omit<Stream, 'id'>): Promise<Stream>;
  find(id: string): Promise<Stream | undefined>;
  /** Lists the streams of one client, or of all clients. */
  list(client?: string): Promise<Stream[]>;
  /** @returns the changed stream; undefined if there is none */
  change(id: string, edit: (now: Stream) => Stream): Promise<Stream | undefined>;
  /** @returns whether it existed */
  remove(id: string): Promise<boolean>;
}

const streamKey = keyspace<Stream>('signal-stream');
const allStreams: Index<Stream> = 'signal-streams';
const streamsOfClient = (client: string): Index<Stream> => `signal-streams-of-client:${client}`;

export function openStreams({ records, clock, random }: { records: Store; clock: Clock; random: Random }): Streams {
  const indexes = (client: string) => ({ indexes: [allStreams, streamsOfClient(client)] });
  return {
    async create(described) {
      const stream = { ...described, id: newId('str', clock, random) };
      await records.create(streamKey(stream.id), stream, indexes(stream.client));
      return stream;
    },
    async find(id) {
      return (await records.get(streamKey(id)))?.value;
    },
    async list(client) {
      const index = client === undefined ? allStreams : streamsOfClient(client);
      const found: Stream[] = [];
      for await (const { value } of everyRecord(records, index)) found.push(value);
      return found;
    },
    async change(id, edit) {
      const stored = await records.get(streamKey(id));
      return update(records, streamKey(id), stored, edit, ({ client }) => indexes(client));
    },
    remove: (id) => records.delete(streamKey(id)),
  };
}
