import type { Context } from 'koa';
import { clientAddress } from '../http/client-address.ts';
import { route, unsecured, type Route } from '../http/route.ts';
import { change, openOwn, read, remove } from './manage.ts';
import { answerRefusal, Refusal } from './refusal.ts';
import { register, type RegistrationParts } from './register.ts';

/** Client registration (RFC 7591) and its management by the client (RFC 7592). */
export function registrationRoutes(parts: RegistrationParts): Route[] {
  const own = '/register/:client';
  const guard = (context: Context) => openOwn(parts, context);
  return [
    route('POST', '/register', unsecured, (context) => register(parts, context)),
    route('GET', own, guard, (context, client) => {
      read(parts, context, client);
    }),
    route('PUT', own, guard, (context, client) => change(parts, context, client)),
    route('DELETE', own, guard, (context, client) => remove(parts, context, client)),
    ...['/register', own].map((path) => route('OPTIONS', path, unsecured, answerPreflight)),
  ].map((one) => ({ ...one, handle: answering(parts, one.handle) }));
}

/** Every response, including refusals, is readable only by its caller and by browsers at the listed origins. */
function answering(parts: RegistrationParts, handle: Route['handle']): Route['handle'] {
  return async (context) => {
    context.set('Cache-Control', 'no-store');
    allowOrigin(context, parts.config.registration.allowed_origins);
    try {
      await handle(context);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { code, reason } = error;
      parts.announce({ type: 'registration.refused', address: clientAddress(context), error: code, reason });
      answerRefusal(context, error);
    }
  };
}

/** Access tokens alone authorize here, never cookies, so no page can use the access of the person who views it. */
function allowOrigin(context: Context, allowed: readonly string[]): void {
  context.vary('Origin');
  const origin = context.get('Origin');
  if (origin === '' || !(allowed.includes('*') || allowed.includes(origin))) return;
  context.set('Access-Control-Allow-Origin', origin);
  context.set('Access-Control-Expose-Headers', 'WWW-Authenticate, Retry-After');
}

function answerPreflight(context: Context): void {
  context.status = 204;
  if (!context.res.hasHeader('Access-Control-Allow-Origin')) return;
  context.set('Access-Control-Allow-Methods', 'GET, POST, PUT, DELETE');
  context.set('Access-Control-Allow-Headers', 'Authorization, Content-Type');
  context.set('Access-Control-Max-Age', '3600');
}
