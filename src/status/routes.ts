import type { Context } from 'koa';
import { matchesEtag } from '../http/response-headers.ts';
import { addressBlocks } from '../http/address-block.ts';
import { clientAddress } from '../http/request-facts.ts';
import { Problem } from '../http/problems.ts';
import { route, unsecured, type Route } from '../http/route.ts';
import type { TokenStatus } from './status.ts';

export const STATUS_ROUTES = { aggregation: '/status', events: '/status/events', list: '/status/:id' } as const;

const TYPE = 'application/statuslist+jwt';

/**
 * Returns the client that a request authenticates as, or the error response to wrong credentials. Returns undefined
 * without credentials.
 */
type FindClient = (
  context: Context,
) => Promise<{ client: string } | { status: number; error: string; error_description: string } | undefined>;

/**
 * Public routes. They need no authentication, because a list shows which tokens are revoked, but not whose they were.
 */
export function statusRoutes(status: TokenStatus, findClient: FindClient): Route[] {
  return [
    route('GET', STATUS_ROUTES.aggregation, unsecured, async (context) => {
      openToAll(context);
      context.body = { status_lists: await status.uris() };
    }),
    route('GET', STATUS_ROUTES.events, unsecured, (context) => giveStream(context, status, findClient)),
    route('GET', STATUS_ROUTES.list, unsecured, (context) => giveList(context, status)),
    route('OPTIONS', STATUS_ROUTES.list, unsecured, (context) => {
      openToAll(context);
      context.set('Access-Control-Allow-Headers', 'If-None-Match, Cache-Control');
      context.set('Access-Control-Max-Age', '3600');
      context.status = 204;
    }),
  ];
}

/**
 * Serves a list (draft-ietf-oauth-status-list-20 §8). It is compressed for clients that accept gzip (§8.2), because
 * base64url makes it a third longer.
 */
async function giveList(context: Context, status: TokenStatus): Promise<void> {
  openToAll(context);
  if (context.query['time'] !== undefined) {
    refuse(context, 501, 'the server does not keep earlier lists (time)');
    return;
  }
  const list = await status.signed(String((context['params'] as Record<string, unknown>)['id']));
  if (list === undefined) throw new Problem('not-found', 'the list does not exist or has ended');
  context.vary('Accept-Encoding');
  const takesGzip = context.acceptsEncodings('gzip', 'identity') === 'gzip';
  const { body, etag } = takesGzip ? await list.gzipped() : { body: list.token, etag: list.etag };
  context.set('ETag', etag);
  if (matchesEtag(context.req.headers['if-none-match'], etag)) {
    context.status = 304;
    return;
  }
  context.type = TYPE;
  if (takesGzip) context.set('Content-Encoding', 'gzip');
  context.body = body;
}

/**
 * Serves the event stream. It needs no credentials, but an authenticated client gets one of the slots that are reserved
 * for clients.
 */
async function giveStream(context: Context, status: TokenStatus, findClient: FindClient): Promise<void> {
  const found = await findClient(context);
  if (found !== undefined && 'error' in found) {
    const { status: code, ...body } = found;
    context.status = code;
    context.body = body;
    return;
  }
  const from = { blocks: addressBlocks(clientAddress(context)), client: found?.client };
  // The room is checked before the store is read, so that a flood of requests costs the store nothing.
  if (!status.streams.hasRoom(from)) {
    refuseStream(context);
    return;
  }
  const first = await status.greeting();
  // Other callers may have taken the room while this one waited for the store.
  if (!status.streams.hasRoom(from)) {
    refuseStream(context);
    return;
  }
  openToAll(context);
  context.set({ 'Content-Type': 'text/event-stream; charset=utf-8', 'X-Accel-Buffering': 'no' });
  context.status = 200;
  context.respond = false;
  context.res.flushHeaders();
  status.streams.add(context.res, from, first);
}

function refuseStream(context: Context): void {
  refuse(context, 503, 'too many event streams are open; fetch the lists instead');
}

function refuse(context: Context, status: 501 | 503, reason: string): void {
  context.status = status;
  context.body = { error: status === 501 ? 'invalid_request' : 'temporarily_unavailable', error_description: reason };
}

/**
 * Lets pages of any origin read a response. Caches must revalidate it each time, because a cached copy would delay a
 * revocation.
 */
function openToAll(context: Context): void {
  context.set({
    'Access-Control-Allow-Origin': '*',
    'Access-Control-Expose-Headers': 'ETag',
    'Cache-Control': 'no-cache',
  });
}
