import Router from '@koa/router';
import type { Context, Middleware } from 'koa';

/** Admits a request and returns its subject for the handler, or throws. */
export type Guard<Subject> = (context: Context) => Promise<Subject> | Subject;

/** A route of this server. {@link route} makes one, and requires a guard. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
  readonly path: string;
  readonly handle: (context: Context) => Promise<void>;
}

export function route<Subject>(
  method: Route['method'],
  path: string,
  guard: Guard<Subject>,
  handle: (context: Context, subject: Subject) => Promise<void> | void,
): Route {
  return { method, path, handle: async (context) => handle(context, await guard(context)) };
}

/** The guard of a route that is open to everybody. */
export function unsecured(): undefined {
  return undefined;
}

export function routesAsMiddleware(routes: readonly Route[]): Middleware {
  const router = new Router();
  for (const { method, path, handle } of routes) router.register(path, [method], (context) => handle(context));
  return router.routes() as Middleware;
}
