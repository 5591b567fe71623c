import type { Context } from 'koa';

/** Returns the start of this request in milliseconds since the epoch, as the host's first middleware noted it. */
export function requestStart(context: Pick<Context, 'state'>): number {
  return Number(context.state['startedAt']);
}
