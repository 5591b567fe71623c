import { errors, Provider, type Adapter } from 'oidc-provider';
import { epochSeconds, type Clock } from '../lib/clock.ts';

/** How long after its use a refresh token may come again without being taken for stolen, in seconds. */
const WINDOW = 10;

/**
 * Two tabs that refresh at once show one token twice. The second is refused, but the engine would also end the whole
 * family, as for a replay (RFC 9700 §4.14.2); within a short window after the use it is not asked.
 */
export function withParallelRefresh(adapter: Adapter, clock: Clock): Adapter {
  return {
    ...adapter,
    async find(id) {
      const payload = await adapter.find(id);
      const usedAt: unknown = payload?.consumed;
      const isRefreshing = Provider.ctx?.oidc.route === 'token';
      if (isRefreshing && typeof usedAt === 'number' && epochSeconds(clock) - usedAt < WINDOW) {
        throw new errors.InvalidGrant('refreshed a moment ago by another request');
      }
      return payload;
    },
  };
}
