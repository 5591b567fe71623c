import type { Context } from 'koa';
import { z } from 'zod';
import type { Clients } from '../clients/clients.ts';
import { tokenChallenge } from '../http/response-headers.ts';
import { readText } from '../http/request-body.ts';
import type { Reach } from './event-types.ts';
import { reachOf } from './publish.ts';
import type { Stream, Streams } from './streams.ts';

/** The answers that Shared Signals Framework 1.0 §8.1 and RFC 6750 §3.1 have for what is not done. */
const STATUS = {
  invalid_request: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  access_denied: 403,
  not_found: 404,
  too_many_requests: 429,
} as const;

/** Why a request of a receiver is not done; the message is for the receiver. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly code: keyof typeof STATUS;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: keyof typeof STATUS, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.headers = headers;
  }
}

export function answerRefusal(context: Context, { code, message, headers }: Refusal): void {
  context.status = STATUS[code];
  context.set(headers);
  context.body = { error: code, error_description: message };
}

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

/**
 * Reads a receiver's JSON object and ignores unknown members. A content type is not required, because the
 * specification's examples have none. @throws Refusal, or Problem if the body is too large or incomplete
 */
export async function readBody<S extends z.ZodType>(context: Context, schema: S): Promise<z.output<S>> {
  const { data, error } = schema.safeParse(parse(await readText(context.req)));
  if (error === undefined) return data;
  const [{ path, message } = { path: [], message: '' }] = error.issues;
  throw new Refusal('invalid_request', `${path.map(String).join('.')} ${message}`.trim());
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text, (key, member: unknown) => (key === '__proto__' ? undefined : member));
  } catch (error) {
    if (error instanceof SyntaxError) throw new Refusal('invalid_request', 'the body must be JSON');
    throw error;
  }
}
