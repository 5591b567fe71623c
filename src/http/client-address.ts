import type { Context } from 'koa';

/** The IP address of the caller, seen through the proxies that the operator trusts; set by the host. */
export function clientAddress(context: Pick<Context, 'state'>): string {
  return String(context.state['clientAddress']);
}
