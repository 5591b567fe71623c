import { errors } from 'oidc-provider';
import type { Clock } from '../lib/clock.ts';
import { sha256 } from '../lib/hash.ts';
import { keyspace, type Store } from '../storage/store.ts';
import type { GrantHandler } from './internals.ts';
import { QUESTION_LIFE } from './lifetimes.ts';

/** The pace of a client's polling for one request. */
interface Pace {
  /** Shortest allowed interval in seconds. */
  interval: number;
  /** The last request, in milliseconds since the epoch. */
  at: number;
}

const paceKey = keyspace<Pace>('poll-pace');

/** The first `interval` in seconds, and the amount that each `slow_down` adds (RFC 8628 §3.2, §3.5). */
export const POLL_INTERVAL = 5;

/** Tolerance in milliseconds, because two requests may arrive closer together than they were sent. */
const JITTER = 500;

interface Parts {
  grants: Store;
  clock: Clock;
}

/**
 * Slows down clients that poll too often; the engine only reports that nobody has answered yet. @param parameter the
 * one that identifies the pending request
 */
export function pacePolling(parameter: 'device_code' | 'auth_req_id') {
  return (engine: GrantHandler, parts: Parts): GrantHandler =>
    async (context) => {
      try {
        await engine(context);
      } catch (error) {
        const isPending = error instanceof errors.AuthorizationPending;
        if (isPending && (await isTooSoon(parts, String(context.oidc.params?.[parameter]))))
          throw new errors.SlowDown();
        throw error;
      }
    };
}

/** Of concurrent requests on any nodes one writes; the others find its record and are too soon. */
async function isTooSoon({ grants, clock }: Parts, code: string): Promise<boolean> {
  const key = paceKey(sha256(code));
  const options = { ttl: QUESTION_LIFE };
  for (;;) {
    const stored = await grants.get(key);
    const at = clock.now();
    if (stored === undefined) {
      if (await grants.create(key, { interval: POLL_INTERVAL, at }, options)) return false;
      continue;
    }
    const { interval, at: last } = stored.value;
    const tooSoon = at - last < interval * 1000 - JITTER;
    const next = { interval: tooSoon ? interval + POLL_INTERVAL : interval, at };
    if (await grants.replace(key, next, stored.version, options)) return tooSoon;
  }
}
