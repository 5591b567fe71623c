import type { Middleware } from 'koa';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { routes } from '../endpoints.ts';
import { POLL_INTERVAL } from '../polling.ts';

/** Matches paths like the engine's router. */
const CODE_PAGE = new RegExp(`^${routes.code_verification}/?$`, 'i');

/** Adds the polling interval to a device's response (RFC 8628 §3.2). */
export function addInterval(_context: KoaContextWithOIDC, answer: object): void {
  Object.assign(answer, { interval: POLL_INTERVAL });
}

/**
 * For an address with a code, the engine would answer with a form that submits itself. This page reads the code
 * directly.
 */
export const showCodePage: Middleware = (context, next) => {
  if (context.method !== 'POST' && CODE_PAGE.test(context.path)) context.querystring = '';
  return next();
};
