import { type Caller, Lane } from './lane.ts';

/** Thrown if the queue is full. The host answers 503 with `Retry-After`. */
export class TooBusy extends Error {
  override name = 'TooBusy';
  /** Value of `Retry-After` in seconds. */
  readonly retryAfter = 2;
}

export interface SemaphoreLimits {
  /** Tasks that run at the same time, at least two. */
  atOnce: number;
  /** Tasks that may wait, in each of the two lanes. */
  waiting: { known: number; unknown: number };
  /** Tasks that may wait or run for one address block, in each lane. */
  perBlock: number;
  /** Tasks that may wait or run for one account, in each lane. */
  perAccount: number;
  /** Minimum number of waiting unknown callers that counts as a crowd. */
  crowd: number;
}

/**
 * Runs a bounded number of tasks at once and lets a bounded number wait, in two lanes. Unknown callers use all slots
 * but one, so that a known device never waits for them. Known callers may use every slot. While no task of an unknown
 * caller is running, however, the next free slot goes to an unknown caller.
 */
export interface Semaphore {
  /**
   * @param task called with true if its caller belongs to a crowd of unknown callers, for whom it may run more slowly
   * @throws TooBusy if the queue is full, before the task has started
   */
  run<T>(caller: Caller, task: (isUnknownCaller: boolean) => Promise<T>): Promise<T>;
  /** @throws TooBusy if the queue is full now */
  assertRoom(caller: Caller): void;
}

export function openSemaphore(limits: SemaphoreLimits): Semaphore {
  const { atOnce, waiting, crowd, ...perCaller } = limits;
  const refusal = () => new TooBusy('the queue for password hashing is full');
  const known = new Lane({ ...perCaller, waiting: waiting.known }, refusal);
  const unknown = new Lane({ ...perCaller, waiting: waiting.unknown }, refusal);

  function fill(): void {
    while (known.running + unknown.running < atOnce) {
      const startsUnknownFirst = unknown.running === 0 || (known.waiting === 0 && unknown.running < atOnce - 1);
      const started = startsUnknownFirst ? unknown.startNext() || known.startNext() : known.startNext();
      if (!started) return;
    }
  }

  return {
    assertRoom: (caller) => (caller.isKnown ? known : unknown).assertRoom(caller),
    async run(caller, task) {
      const lane = caller.isKnown ? known : unknown;
      const entered = lane.enter(caller);
      fill();
      await entered;
      try {
        return await task(lane === unknown && lane.waiting >= crowd);
      } finally {
        lane.leave(caller);
        fill();
      }
    },
  };
}
