import type { Middleware } from 'koa';
import type { StoreChecks, StoreFault } from './store-checks.ts';

export interface HealthDependencies {
  storeChecks: Pick<StoreChecks, 'report'>;
  /** Rejects if tokens cannot be signed now. */
  canSign: () => Promise<void>;
  isDraining: () => boolean;
}

/** Body of a health response. */
interface Health {
  status: 'ok' | 'ready' | 'draining' | StoreFault | 'signer unavailable';
  /** The roles whose store has lost its data. */
  lost?: string[];
}

/**
 * Serves `/healthz`, which always answers 200, and `/readyz`, which answers 200 if the stores take writes, the keys can
 * sign and the server is not shutting down.
 */
export function health({ storeChecks, canSign, isDraining }: HealthDependencies): Middleware {
  const readiness = async (): Promise<Health> => {
    if (isDraining()) return { status: 'draining' };
    const { fault, lost } = await storeChecks.report();
    const shown = lost.length > 0 ? { lost } : {};
    if (fault !== undefined) return { status: fault, ...shown };
    return canSign().then(
      () => ({ status: 'ready', ...shown }),
      () => ({ status: 'signer unavailable', ...shown }),
    );
  };
  return async (context, next) => {
    const isAsked = ['/healthz', '/readyz'].includes(context.path) && ['GET', 'HEAD'].includes(context.method);
    if (!isAsked) {
      await next();
      return;
    }
    const answer: Health = context.path === '/healthz' ? { status: 'ok' } : await readiness();
    context.status = answer.status === 'ok' || answer.status === 'ready' ? 200 : 503;
    context.body = answer;
    context.set('Cache-Control', 'no-store');
  };
}
