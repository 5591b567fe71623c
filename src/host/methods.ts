import type { Route } from '../http/route.ts';
import { routes as engine } from '../oidc/endpoints.ts';

/** Methods of the engine's paths and the health checks. GET includes HEAD, and OPTIONS is always allowed. */
const methods: Readonly<Record<string, readonly string[]>> = {
  [engine.authorization]: ['GET'],
  [`${engine.authorization}/:uid`]: ['GET'],
  [engine.token]: ['POST'],
  [engine.userinfo]: ['GET', 'POST'],
  [engine.jwks]: ['GET'],
  [engine.introspection]: ['POST'],
  [engine.revocation]: ['POST'],
  [engine.end_session]: ['GET'],
  [`${engine.end_session}/confirm`]: ['POST'],
  [`${engine.end_session}/success`]: ['GET'],
  [engine.pushed_authorization_request]: ['POST'],
  [engine.device_authorization]: ['POST'],
  [engine.backchannel_authentication]: ['POST'],
  [engine.code_verification]: ['GET', 'POST'],
  [`${engine.code_verification}/:uid`]: ['GET'],
  '/.well-known/openid-configuration': ['GET'],
  '/.well-known/oauth-authorization-server': ['GET'],
  '/healthz': ['GET'],
  '/readyz': ['GET'],
};

/** Finds the methods of a path for the `Allow` header of a 405 (RFC 9110 §15.5.6): none if the path is unknown. */
export function allowedMethods(routes: readonly Route[]): (path: string) => readonly string[] {
  const table = [
    ...Object.entries(methods).map(([path, allowed]) => ({ pattern: patternOf(path), allowed })),
    ...routes.map(({ method, path }) => ({ pattern: patternOf(path), allowed: [method] })),
  ];
  return (path) => {
    const allowed = table.filter(({ pattern }) => pattern.test(path)).flatMap((entry) => entry.allowed);
    if (allowed.length === 0) return [];
    return [...new Set([...allowed.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])), 'OPTIONS'])];
  };
}

/** Makes the pattern of a path. It ignores case and a trailing slash, like the routers. */
function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/:[a-z]+/g, '[^/]+').replaceAll('.', String.raw`\.`)}/?$`, 'i');
}
