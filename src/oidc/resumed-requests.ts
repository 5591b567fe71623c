import type { Middleware } from 'koa';
import { routes } from './endpoints.ts';

/** Matches paths like the engine's router. */
const RESUME = new RegExp(`^${routes.authorization}/[^/]+/?$`, 'i');

/**
 * Resumes an authorization request by its interaction's record only. Without a record the engine would treat the query
 * as an unchecked request, and send its error to the address in it.
 */
export const resumeByRecord: Middleware = (context, next) => {
  if (RESUME.test(context.path)) context.querystring = '';
  return next();
};
