import type { Middleware } from 'koa';
import type { Logger } from 'pino';
import { Problem } from '../http/problems.ts';
import { recordAdmission, recordNumber, requestId, type Admitted } from '../http/request-facts.ts';
import { contentSecurityPolicy } from '../http/response-headers.ts';
import { routesAsMiddleware, type Route } from '../http/route.ts';
import type { Views } from '../http/view.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { adviseRetry, answerProblems, answerTheRest } from './answers.ts';
import { assetRoutes } from './assets.ts';
import { health, type HealthDependencies } from './health.ts';
import { requireContentType, speakJson } from './machine-endpoints.ts';
import { allowedMethods } from './methods.ts';

interface HostDependencies extends HealthDependencies {
  issuer: string;
  views: Views;
  routes: readonly Route[];
  admitted: (request: object) => Admitted | undefined;
  log: Logger;
  clock: Clock;
  random: Random;
}

/** All middleware before the engine, in order. */
export function middlewareStack(dependencies: HostDependencies): Middleware[] {
  const routes = assetRoutes(dependencies.views.assets).concat(dependencies.routes);
  return [
    numberRequests(dependencies.random, dependencies.clock),
    logRequests(dependencies.log, dependencies.clock),
    secureHeaders(dependencies.issuer),
    speakJson,
    answerProblems(dependencies.views, dependencies.log),
    health(dependencies),
    admitRequests(dependencies.admitted),
    limitBodies,
    requireContentType,
    answerTheRest(allowedMethods(routes)),
    adviseRetry,
    routesAsMiddleware(routes),
  ];
}

/** Numbers every request, for the log and for error pages, and records its start. */
export function numberRequests(random: Random, clock: Clock): Middleware {
  const start = random.bytes(6).toString('base64url');
  let count = 0;
  return (context, next) => {
    count += 1;
    recordNumber(context, { id: `${start}-${count.toString(36)}`, startedAt: clock.now() });
    context.set('X-Request-Id', requestId(context));
    return next();
  };
}

/** Logs one line for each request, without the query, which may contain a code. */
function logRequests(log: Logger, clock: Clock): Middleware {
  if (!log.isLevelEnabled('debug')) return (_context, next) => next();
  return async (context, next) => {
    const start = clock.now();
    try {
      await next();
    } finally {
      const { method, status } = context;
      const path = printablePath(context.path);
      log.debug({ requestId: requestId(context), method, path, status, ms: clock.now() - start }, 'request');
    }
  };
}

/** Hides an interaction's id. Together with a cookie, the id gives access to the interaction. */
function printablePath(path: string): string {
  return path.replace(/[\w-]{32,}/g, ':id');
}

/** Sets security headers on every answer. A page sets its own policy if its forms lead elsewhere. */
function secureHeaders(issuer: string): Middleware {
  const headers: Record<string, string> = {
    'Content-Security-Policy': contentSecurityPolicy(),
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
  };
  if (issuer.startsWith('https:')) headers['Strict-Transport-Security'] = 'max-age=31536000';
  const entries = Object.entries(headers);
  return (context, next) => {
    for (const [name, value] of entries) context.res.setHeader(name, value);
    return next();
  };
}

const UNKNOWN_HOST =
  'is neither the host of the issuer nor in listen.aliases. A proxy must forward Host, or be in listen.trusted_proxies and ' +
  'send the host in X-Forwarded-Host';

/** Records the facts of an admitted request, which were determined before Koa ran, and refuses any other request. */
export function admitRequests(admitted: (request: object) => Admitted | undefined): Middleware {
  return (context, next) => {
    const admission = admitted(context.req);
    if (admission === undefined)
      throw new Problem('unknown-host', `host ${context.req.headers.host ?? '(none)'} ${UNKNOWN_HOST}`);
    recordAdmission(context, admission);
    return next();
  };
}

/** Largest body in bytes, as in the engine. The server refuses a larger body without reading it. */
const LARGEST_BODY = 56 * 1024;

const limitBodies: Middleware = async (context, next) => {
  const length = Number(context.get('Content-Length'));
  if (length > LARGEST_BODY) throw new Problem('body-too-large', `a body of ${length} bytes`, { Connection: 'close' });
  await next();
  // An unread chunked body may never end, so the connection is closed.
  if (!context.req.complete && context.get('Transfer-Encoding') !== '') context.set('Connection', 'close');
};
