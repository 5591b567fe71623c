import type { Context, Middleware } from 'koa';
import { Problem } from '../http/problems.ts';
import { routes as engine } from '../oidc/endpoints.ts';

/** Endpoints that take a form and know their client, so that a browser of the client's origins may call them. */
const FORMS = [
  engine.token,
  engine.introspection,
  engine.revocation,
  engine.pushed_authorization_request,
  engine.device_authorization,
  engine.backchannel_authentication,
];

/** Each with what is below it. */
const MACHINES = [
  ...[...FORMS, engine.userinfo, engine.jwks, '/register', '/status', '/ssf'],
  ...['openid-configuration', 'oauth-authorization-server', 'ssf-configuration'].map((name) => `/.well-known/${name}`),
];

const SIGNED_INTROSPECTION = 'application/token-introspection+jwt';

/** As the routers compare: without regard to case, with or without a slash at the end. */
function isAmong(paths: readonly string[], path: string): boolean {
  const lower = path.toLowerCase();
  return paths.some((one) => lower === one || lower.startsWith(`${one}/`));
}

export function isForMachines(path: string): boolean {
  return isAmong(MACHINES, path);
}

/**
 * Programs get JSON, whatever they accept: Java asks for `text/html` before everything else. The one other form that an
 * endpoint has is a signed answer to an introspection (RFC 9701), which is still asked for by `Accept`.
 */
export const speakJson: Middleware = async (context, next) => {
  if (!isForMachines(context.path)) {
    await next();
    return;
  }
  const isSigned = context.accepts('json', SIGNED_INTROSPECTION) === SIGNED_INTROSPECTION;
  context.req.headers.accept = isSigned ? `${SIGNED_INTROSPECTION}, application/json;q=0.9` : 'application/json';
  await next();
  // RFC 7009 §2.2 leaves the body open; clients that read JSON from every answer find some.
  if (isAmong([engine.revocation], context.path) && context.status === 200 && context.body === '') context.body = {};
  allowCredentialsAhead(context);
  // RFC 6749 §5.1: caches of HTTP/1.0 know no Cache-Control.
  if (/\bno-store\b/.test(context.response.get('Cache-Control'))) context.set('Pragma', 'no-cache');
};

/**
 * A preflight comes before its client is known. Cookies count for nothing at these endpoints, and the answer itself is
 * for the origins of its client alone.
 */
function allowCredentialsAhead(context: Context): void {
  const origin = context.get('Origin');
  if (context.method !== 'OPTIONS' || origin === '' || !isAmong([...FORMS, engine.userinfo], context.path)) return;
  if (context.response.get('Access-Control-Allow-Origin') === origin)
    context.set('Access-Control-Allow-Credentials', 'true');
}

/** A body without a type is read by nobody, and the endpoint would miss each of its parameters. */
export const requireContentType: Middleware = (context, next) => {
  const hasBody = Number(context.get('Content-Length')) > 0 || context.get('Transfer-Encoding') !== '';
  if (context.method === 'POST' && hasBody && context.get('Content-Type') === '' && isAmong(FORMS, context.path))
    throw new Problem('no-content-type', 'a body without a content type', { Connection: 'close' });
  return next();
};

/** Has a page in a browser read why it was refused; where an endpoint has decided about its origin, that stands. */
export function letOriginRead(context: Context): void {
  if (!isForMachines(context.path) || context.get('Origin') === '') return;
  if (/\borigin\b/i.test(context.response.get('Vary')) || context.res.hasHeader('Access-Control-Allow-Origin')) return;
  context.vary('Origin');
  context.set('Access-Control-Allow-Origin', context.get('Origin'));
  context.set('Access-Control-Expose-Headers', 'WWW-Authenticate, Retry-After');
}
