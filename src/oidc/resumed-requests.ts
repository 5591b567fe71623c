import type { Middleware } from 'koa';
import { routes } from './endpoints.ts';

/** As the engine's router compares paths. */
const RESUME = new RegExp(`^${routes.authorization}/[^/]+/?$`, 'i');

/**
 * An authorization request goes on at a path of its own once its person has answered, and the interaction's record says
 * what it asks. Where there is no such record, the engine would take the query for a request that it has not checked,
 * and send its error to the address that stands there.
 */
export const resumeByRecord: Middleware = (context, next) => {
  if (RESUME.test(context.path)) context.querystring = '';
  return next();
};
