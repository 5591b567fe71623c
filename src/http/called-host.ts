import type { Context } from 'koa';

/** The host and port that the caller named, in lower case, before the host put the issuer's in its place. */
export function calledHost(context: Pick<Context, 'state'>): string {
  return String(context.state['calledHost']);
}
