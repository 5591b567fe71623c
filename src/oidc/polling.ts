import { errors } from 'oidc-provider';
import type { Clock } from '../lib/clock.ts';
import { sha256 } from '../lib/hash.ts';
import { keyspace, type Store } from '../storage/store.ts';
import { upsert } from '../storage/update.ts';
import type { GrantHandler } from './internals.ts';
import { QUESTION_LIFE } from './lifetimes.ts';

/** The pace of a client's polling for one request. */
interface Pace {
  /** Shortest allowed interval in seconds. */
  interval: number;
  /** Time of the last poll, in milliseconds since the epoch. */
  at: number;
}

const paceKey = keyspace<Pace>('poll-pace');

/** Initial `interval` in seconds, and the amount that each `slow_down` adds (RFC 8628 §3.2, §3.5). */
export const POLL_INTERVAL = 5;

/** Tolerance in milliseconds, because two polls may arrive closer together than the client sent them. */
const JITTER = 500;

interface PollingDependencies {
  grants: Store;
  clock: Clock;
}

/**
 * Answers `slow_down` if a client polls too often; the engine answers only `authorization_pending`. @param parameter
 * the request parameter that identifies the pending request
 */
export function pacePolling(parameter: 'device_code' | 'auth_req_id') {
  return (engine: GrantHandler, dependencies: PollingDependencies): GrantHandler =>
    async (context) => {
      try {
        await engine(context);
      } catch (error) {
        const isPending = error instanceof errors.AuthorizationPending;
        if (isPending && (await isPolledTooSoon(dependencies, String(context.oidc.params?.[parameter]))))
          throw new errors.SlowDown();
        throw error;
      }
    };
}

/**
 * Records a poll, and tells whether it came too soon. Of concurrent polls on several nodes, one creates the record. The
 * others find it and count as too soon.
 */
async function isPolledTooSoon({ grants, clock }: PollingDependencies, code: string): Promise<boolean> {
  const key = paceKey(sha256(code));
  let isTooSoon = false;
  const change = ({ interval, at: last }: Pace): Pace => {
    const at = clock.now();
    isTooSoon = at - last < interval * 1000 - JITTER;
    return { interval: isTooSoon ? interval + POLL_INTERVAL : interval, at };
  };
  const first = { interval: POLL_INTERVAL, at: clock.now() };
  const written = await upsert(grants, key, await grants.get(key), { first, change }, { ttl: QUESTION_LIFE });
  return written !== first && isTooSoon;
}
