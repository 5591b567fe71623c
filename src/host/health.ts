import type { Middleware } from 'koa';
import type { Store } from '../storage/store.ts';

export interface HealthParts {
  stores: readonly Store[];
  /** Rejects while tokens cannot be signed. */
  canSign: () => Promise<void>;
  isDraining: () => boolean;
}

/** Alive as long as it answers; ready while its stores answer, its keys can sign and it takes new requests. */
export function health({ stores, canSign, isDraining }: HealthParts): Middleware {
  const readiness = async (): Promise<'ready' | 'draining' | 'store unavailable' | 'signer unavailable'> => {
    if (isDraining()) return 'draining';
    const answers = await Promise.allSettled(stores.map((store) => store.health()));
    if (answers.some(({ status }) => status === 'rejected')) return 'store unavailable';
    return canSign().then(
      () => 'ready',
      () => 'signer unavailable',
    );
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
