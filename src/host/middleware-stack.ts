import type { Middleware } from 'koa';
import type { Logger } from 'pino';
import type { Admitted } from '../http/request-facts.ts';
import { routesAsMiddleware, type Route } from '../http/route.ts';
import type { Views } from '../http/view.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { adviseRetry, answerProblems, answerTheRest } from './answers.ts';
import { assetRoutes } from './assets.ts';
import { health, type HealthParts } from './health.ts';
import { requireContentType, speakJson } from './machine-endpoints.ts';
import { allowedMethods } from './methods.ts';
import { admitRequests, limitBodies, logRequests, numberRequests, secureHeaders } from './middleware.ts';

export interface HostParts extends HealthParts {
  issuer: string;
  views: Views;
  routes: readonly Route[];
  admitted: (request: object) => Admitted | undefined;
  log: Logger;
  clock: Clock;
  random: Random;
}

/** All middleware before the engine, in order. */
export function middlewareStack(parts: HostParts): Middleware[] {
  const routes = assetRoutes(parts.views.assets).concat(parts.routes);
  return [
    numberRequests(parts.random, parts.clock),
    logRequests(parts.log, parts.clock),
    secureHeaders(parts.issuer),
    speakJson,
    answerProblems(parts.views, parts.log),
    health(parts),
    admitRequests(parts.admitted),
    limitBodies,
    requireContentType,
    answerTheRest(allowedMethods(routes)),
    adviseRetry,
    routesAsMiddleware(routes),
  ];
}
