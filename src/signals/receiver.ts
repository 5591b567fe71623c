import type { Context } from 'koa';
import type { Clients } from '../clients/clients.ts';
import { tokenChallenge } from '../http/response-headers.ts';
import type { Reach } from './event-types.ts';
import { reachOf } from './publish.ts';
import { Refusal } from './refusal.ts';
import type { Stream, Streams } from './streams.ts';

/** CAEP Interoperability Profile 1.0 §2.7.2. */
export type StreamScope = 'ssf.manage' | 'ssf.read';

/** The client that a request's token is good for. */
export type FindToken = (
  context: Context,
) => Promise<{ client: string; scopes: ReadonlySet<string> } | { challenge: string } | undefined>;

/** The authenticated client, with its permission to receive events. */
export interface Receiver {
  readonly client: string;
  readonly reach: Reach;
}

/** The guard of every endpoint for receivers. What only reads is open to those who may manage, too. */
export function receiverGuard({ clients, findToken }: { clients: Clients; findToken: FindToken }) {
  return (needed: StreamScope) =>
    async (context: Context): Promise<Receiver> => {
      const token = await findToken(context);
      if (token === undefined || 'challenge' in token) throw unknown(context, token?.challenge);
      if (!token.scopes.has(needed) && !token.scopes.has('ssf.manage')) {
        const challenge = `Bearer error="insufficient_scope", scope="${needed}"`;
        throw new Refusal('insufficient_scope', `needs ${needed}`, { 'WWW-Authenticate': challenge });
      }
      const reach = await reachOf({ clients }, token.client);
      if (reach === undefined) throw new Refusal('access_denied', 'this client receives no signals');
      return { client: token.client, reach };
    };
}

function unknown(context: Context, given?: string): Refusal {
  const challenge = given ?? tokenChallenge(context);
  return new Refusal('invalid_token', 'needs an access token of this server', { 'WWW-Authenticate': challenge });
}

/** Another's stream is answered as one that is not there. */
export async function ownStream(streams: Streams, { client }: Receiver, id: unknown): Promise<Stream> {
  const stream = typeof id === 'string' ? await streams.find(id) : undefined;
  if (stream?.client !== client) throw new Refusal('not_found', 'there is no such stream');
  return stream;
}
