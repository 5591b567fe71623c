import type { Middleware } from 'koa';
import type { Store } from '../storage/store.ts';

/** Alive as long as it answers; ready while its stores answer and it takes new requests. */
export function health(stores: readonly Store[], isDraining: () => boolean): Middleware {
  const readiness = async (): Promise<'ready' | 'draining' | 'store unavailable'> => {
    if (isDraining()) return 'draining';
    const answers = await Promise.allSettled(stores.map((store) => store.health()));
    return answers.every(({ status }) => status === 'fulfilled') ? 'ready' : 'store unavailable';
  };
  return async (context, next) => {
    const isAsked = ['/healthz', '/readyz'].includes(context.path) && ['GET', 'HEAD'].includes(context.method);
    if (!isAsked) {
      await next();
      return;
    }
    const status = context.path === '/healthz' ? 'ok' : await readiness();
    context.status = status === 'ok' || status === 'ready' ? 200 : 503;
    context.body = { status };
    context.set('Cache-Control', 'no-store');
  };
}
