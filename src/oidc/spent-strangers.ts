import type { Context, Middleware } from 'koa';
import { Problem } from '../http/problems.ts';
import { routes, sessionCookie } from './endpoints.ts';
import { retryAfter, type PendingRequests } from './storage/pending-requests.ts';

const AUTHORIZATION = new RegExp(`^${routes.authorization}/?$`, 'i');

/**
 * Refuses a stranger's authorization request before the engine reads it, if this node remembers that the store would
 * refuse it. A request that may end without a page passes, because it stores nothing.
 */
export function refuseSpentStrangers(pending: PendingRequests): Middleware {
  return (context, next) => {
    if (AUTHORIZATION.test(context.path) && isStrangers(context) && pending.isSpent('sign-in', context))
      throw new Problem('too-many-waiting', 'the block of a stranger has nothing left', {
        'Retry-After': retryAfter('sign-in'),
      });
    return next();
  };
}

/**
 * A person with a session cookie signed by this server may be signed in. `prompt=none` may also stand inside a request
 * object.
 */
function isStrangers(context: Context): boolean {
  if (context.method !== 'GET' || context.cookies.get(sessionCookie(context), { signed: true }) !== undefined)
    return false;
  const { prompt, request, request_uri: uri } = context.query;
  return prompt !== 'none' && request === undefined && uri === undefined;
}
