import type { Middleware } from 'koa';
import { errors } from 'oidc-provider';
import { Problem } from '../../http/problems.ts';
import { routes } from '../endpoints.ts';
import { limitParameters } from '../requests/parameter-limits.ts';

const SIGN_OUT = new RegExp(`^${routes.end_session}/?$`, 'i');

/** The engine has no hook for a sign-out's parameters, and stores its `state` in the session. */
export const limitSignOuts: Middleware = (context, next) => {
  if (SIGN_OUT.test(context.path)) limitQuery(context.query);
  return next();
};

function limitQuery(query: Readonly<Record<string, unknown>>): void {
  try {
    limitParameters(query);
  } catch (error) {
    if (!(error instanceof errors.InvalidRequest)) throw error;
    throw new Problem('body-too-large', error.error_description ?? error.message);
  }
}
