import type { Context } from 'koa';

/** Returns the client address, seen through trusted proxies; set by the host. */
export function clientAddress(context: Pick<Context, 'state'>): string {
  return String(context.state['clientAddress']);
}
