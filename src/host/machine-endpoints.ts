import type { Context, Middleware } from 'koa';
import { Problem } from '../http/problems.ts';
import { routes as engine } from '../oidc/endpoints.ts';

/** Endpoints that take a form and identify the client. Pages at that client's origins may call them. */
const FORMS = [
  engine.token,
  engine.introspection,
  engine.revocation,
  engine.pushed_authorization_request,
  engine.device_authorization,
  engine.backchannel_authentication,
];

/** Endpoints for programs. Each path includes all paths below it. */
const MACHINES = [
  ...[...FORMS, engine.userinfo, engine.jwks, '/register', '/status', '/ssf'],
  ...['openid-configuration', 'oauth-authorization-server', 'ssf-configuration'].map((name) => `/.well-known/${name}`),
];

const SIGNED_INTROSPECTION = 'application/token-introspection+jwt';

/** Tells whether a path equals one of these or is below one. Ignores case and a trailing slash, like the routers. */
function isAmong(paths: readonly string[], path: string): boolean {
  const lower = path.toLowerCase();
  return paths.some((one) => lower === one || lower.startsWith(`${one}/`));
}

function isForMachines(path: string): boolean {
  return isAmong(MACHINES, path);
}

/**
 * Answers programs with JSON whatever their `Accept` header says, because Java's default prefers `text/html`. `Accept`
 * can still select one other format: a signed introspection response (RFC 9701).
 */
export const speakJson: Middleware = async (context, next) => {
  if (!isForMachines(context.path)) {
    await next();
    return;
  }
  const isSigned = context.accepts('json', SIGNED_INTROSPECTION) === SIGNED_INTROSPECTION;
  context.req.headers.accept = isSigned ? `${SIGNED_INTROSPECTION}, application/json;q=0.9` : 'application/json';
  await next();
  // RFC 7009 §2.2 leaves the body open; some clients parse JSON from every answer.
  if (isAmong([engine.revocation], context.path) && context.status === 200 && context.body === '') context.body = {};
  allowCredentialsAhead(context);
  // RFC 6749 §5.1: HTTP/1.0 caches do not know Cache-Control.
  if (/\bno-store\b/.test(context.response.get('Cache-Control'))) context.set('Pragma', 'no-cache');
};

/**
 * Allows credentials in a preflight, before the server knows the client. This is safe, because these endpoints ignore
 * cookies and only the client's origins can read the response that follows.
 */
function allowCredentialsAhead(context: Context): void {
  const origin = context.get('Origin');
  if (context.method !== 'OPTIONS' || origin === '' || !isAmong([...FORMS, engine.userinfo], context.path)) return;
  if (context.response.get('Access-Control-Allow-Origin') === origin)
    context.set('Access-Control-Allow-Credentials', 'true');
}

/** Refuses a body without a content type. The endpoint would ignore it and report every parameter as missing. */
export const requireContentType: Middleware = (context, next) => {
  const hasBody = Number(context.get('Content-Length')) > 0 || context.get('Transfer-Encoding') !== '';
  if (context.method === 'POST' && hasBody && context.get('Content-Type') === '' && isAmong(FORMS, context.path))
    throw new Problem('no-content-type', 'a body without a content type', { Connection: 'close' });
  return next();
};

/** Lets a page of any origin read a refusal, unless the endpoint has already decided about the origin. */
export function letOriginRead(context: Context): void {
  if (!isForMachines(context.path) || context.get('Origin') === '') return;
  if (/\borigin\b/i.test(context.response.get('Vary')) || context.res.hasHeader('Access-Control-Allow-Origin')) return;
  context.vary('Origin');
  context.set('Access-Control-Allow-Origin', context.get('Origin'));
  context.set('Access-Control-Expose-Headers', 'WWW-Authenticate, Retry-After');
}
