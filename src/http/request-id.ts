import type { Context } from 'koa';

/** The number under which the log tells of this request; set by the host's first middleware. */
export function requestId(context: Pick<Context, 'state'>): string {
  return String(context.state['requestId']);
}
