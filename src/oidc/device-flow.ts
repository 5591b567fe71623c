import type { Middleware } from 'koa';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { routes } from './endpoints.ts';
import { POLL_INTERVAL } from './polling.ts';

/** As the engine's router compares paths. */
const CODE_PAGE = new RegExp(`^${routes.code_verification}/?$`, 'i');

/** Tells a device how often it may ask (RFC 8628 §3.2). */
export function addInterval(_context: KoaContextWithOIDC, answer: object): void {
  Object.assign(answer, { interval: POLL_INTERVAL });
}

/** The engine would answer an address with a code by a form that sends itself; our page reads the code by itself. */
export const showCodePage: Middleware = (context, next) => {
  if (context.method !== 'POST' && CODE_PAGE.test(context.path)) context.querystring = '';
  return next();
};
