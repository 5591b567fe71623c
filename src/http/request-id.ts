import type { Context } from 'koa';

/** Returns the request's number in the log; set by the host's first middleware. */
export function requestId(context: Pick<Context, 'state'>): string {
  return String(context.state['requestId']);
}
