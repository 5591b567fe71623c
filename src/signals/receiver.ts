import type { Context } from 'koa';
import type { z } from 'zod';
import type { Clients } from '../clients/clients.ts';
import { Refusal } from '../http/refusal.ts';
import { readJson } from '../http/request-body.ts';
import { tokenChallenge } from '../http/response-headers.ts';
import type { Reach } from './account-event.ts';
import { reachOf } from './publish.ts';
import type { Stream, Streams } from './streams.ts';

/** OAuth scopes for event streams (CAEP Interoperability Profile 1.0 §2.7.2). */
export type StreamScope = 'ssf.manage' | 'ssf.read';

/** Finds the client that a request's token was issued to, or the challenge to answer with. */
export type FindToken = (
  context: Context,
) => Promise<{ client: string; scopes: ReadonlySet<string> } | { challenge: string } | undefined>;

/** The authenticated client, with its permission to receive events. */
export interface Receiver {
  readonly client: string;
  readonly reach: Reach;
}

/** Guards the endpoints for receivers. The scope `ssf.manage` includes `ssf.read`. */
export function receiverGuard({ clients, findToken }: { clients: Clients; findToken: FindToken }) {
  return (needed: StreamScope) =>
    async (context: Context): Promise<Receiver> => {
      const token = await findToken(context);
      if (token === undefined || 'challenge' in token) throw unauthenticated(context, token?.challenge);
      if (!token.scopes.has(needed) && !token.scopes.has('ssf.manage')) {
        const headers = { 'WWW-Authenticate': `Bearer error="insufficient_scope", scope="${needed}"` };
        throw new Refusal('insufficient_scope', `needs ${needed}`, { headers });
      }
      const reach = await reachOf({ clients }, token.client);
      if (reach === undefined) throw new Refusal('access_denied', 'this client receives no signals');
      return { client: token.client, reach };
    };
}

function unauthenticated(context: Context, given?: string): Refusal {
  const headers = { 'WWW-Authenticate': given ?? tokenChallenge(context) };
  return new Refusal('invalid_token', 'needs an access token of this server', { headers });
}

/**
 * Finds a receiver's own stream.
 * @throws Refusal, which is the same for another client's stream as for a missing one
 */
export async function ownStream(streams: Streams, { client }: Receiver, id: unknown): Promise<Stream> {
  const stream = typeof id === 'string' ? await streams.find(id) : undefined;
  if (stream?.client !== client) throw new Refusal('not_found', 'there is no such stream');
  return stream;
}

/**
 * Reads a receiver's JSON object and ignores unknown members. A content type is not required, because the
 * specification's examples have none.
 * @throws Refusal, or Problem if the body is too large or incomplete
 */
export async function readBody<S extends z.ZodType>(context: Context, schema: S): Promise<z.output<S>> {
  const body = await readJson(context.req);
  if (body === undefined) throw new Refusal('invalid_request', 'the body must be JSON');
  const { data, error } = schema.safeParse(body);
  if (error === undefined) return data;
  const [{ path, message } = { path: [], message: '' }] = error.issues;
  throw new Refusal('invalid_request', `${path.map(String).join('.')} ${message}`.trim());
}
