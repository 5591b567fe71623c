import type { Context } from 'koa';

/** Returns the requested host and port in lower case, from before admission replaced it by the issuer's. */
export function calledHost(context: Pick<Context, 'state'>): string {
  return String(context.state['calledHost']);
}
