import type { Context } from 'koa';

/** When this request began, in milliseconds since the epoch; set by the host's first middleware. */
export function requestStart(context: Pick<Context, 'state'>): number {
  return Number(context.state['startedAt']);
}
