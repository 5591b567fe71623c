import type { Clock } from '../lib/clock.ts';
import { sha256 } from '../lib/hash.ts';
import { type Counter, keyspace, type Store } from '../storage/store.ts';

/**
 * Limit on attempts. The first attempts are free. Each further one starts a pause, of 1, 2, 4… seconds up to the
 * longest.
 */
export interface DelayRule {
  /** The name of the rule, which is part of its store keys. */
  name: string;
  free: number;
  /** In seconds. */
  longest: number;
  /** Seconds from the first attempt until all attempts are forgotten. */
  memory: number;
}

/** Counts attempts in the store, so that all nodes share the count. Subjects are stored as hashes. */
export interface RisingDelay {
  /** Returns the seconds that the subject must wait, or 0 if it may try. Does not count an attempt. */
  remaining(subject: string): Promise<number>;
  /**
   * Counts an attempt before it is made, so that parallel attempts pass only as often as sequential ones. @returns 0 if
   * it may be made, else the seconds to wait
   */
  reserve(subject: string): Promise<number>;
  /** Reduces the count by one attempt. */
  refund(subject: string): Promise<void>;
  /** Forgets the subject's attempts. */
  clear(subject: string): Promise<void>;
}

/** A pause, stored for as long as it lasts. */
type Pause = Record<string, never>;

const pauseKey = keyspace<Pause>('attempt-pause');

export function openRisingDelay(options: { grants: Store; clock: Clock; rule: DelayRule }): RisingDelay {
  const { grants, clock, rule } = options;

  async function remaining(subject: string): Promise<number> {
    const pause = await grants.get(pauseKey(hashed(subject)));
    if (pause === undefined) return 0;
    return Math.max(1, Math.ceil(((pause.expiresAt ?? 0) - clock.now()) / 1000));
  }

  async function reserve(subject: string): Promise<number> {
    const count = await grants.increment(counter(subject), 1, rule.memory);
    if (count < rule.free) return 0;
    const pause = Math.min(rule.longest, 2 ** (count - rule.free));
    // The attempt that starts the pause passes. Other attempts at the same moment find the pause.
    const isFirst = await grants.create(pauseKey(hashed(subject)), {}, { ttl: pause });
    return isFirst ? 0 : Math.max(1, await remaining(subject));
  }

  async function clear(subject: string): Promise<void> {
    await Promise.all([forget(subject), grants.delete(pauseKey(hashed(subject)))]);
  }

  /** Subtracts the known count, so that an attempt counted meanwhile stays counted. */
  async function forget(subject: string): Promise<void> {
    const count = await grants.increment(counter(subject), 0, rule.memory);
    if (count > 0) await grants.increment(counter(subject), -count, rule.memory);
  }

  function hashed(subject: string): string {
    return sha256(`${rule.name}\n${subject}`);
  }

  function counter(subject: string): Counter {
    return `attempts:${hashed(subject)}`;
  }

  return {
    remaining,
    reserve,
    async refund(subject) {
      const count = await grants.increment(counter(subject), -1, rule.memory);
      // If the count was already forgotten, sets it to zero again. A negative count would allow further attempts.
      if (count < 0) await grants.increment(counter(subject), 1, rule.memory);
    },
    clear,
  };
}
