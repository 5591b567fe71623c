import argon2, { type HashOptions } from 'argon2';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../storage/store.ts';
import { type Argon2Job, doArgon2Job } from './argon2-jobs.ts';
import { Background } from './background.ts';
import { type SemaphoreLimits, openSemaphore } from '../limits/semaphore.ts';
import { costOfHash, hashCost, hashThatNothingMatches, isWeaker, openHashCosts } from './hash-costs.ts';
import type { Caller } from '../limits/lane.ts';

/** PHC strings of argon2id. All work goes through one semaphore. */
export interface Hashing {
  /** @throws TooBusy */
  hash(text: string, caller: Caller): Promise<string>;
  /**
   * Does the same work for every hash, and without a hash, whether the text is right or wrong. @returns whether it is
   * right, and a hash to store instead if the old one is weaker than configured. @throws TooBusy
   */
  verify(hash: string | undefined, text: string, caller: Caller): Promise<{ isRight: boolean; renewed?: string }>;
  /** @throws TooBusy if there is no room for a hash now */
  assertRoom(caller: Caller): void;
  /**
   * Remembers the costs of stored hashes. @param areAll whether these are all hashes; other costs are then forgotten
   */
  learn(hashes: readonly string[], areAll: boolean): Promise<void>;
  close(): void;
}

/**
 * Limits of concurrent hashes. They share libuv's four threads with token signing, which must not wait. The queue holds
 * about a second of work for each kind of caller; anybody behind that should retry later.
 */
const LIMITS: SemaphoreLimits = {
  atOnce: 2,
  waiting: { known: 32, unknown: 48 },
  perBlock: 24,
  perAccount: 8,
  crowd: 8,
};

export function openHashing(parts: { records: Store; clock: Clock; argon2: Config['passwords']['argon2'] }): Hashing {
  const options: HashOptions = {
    type: argon2.argon2id,
    memoryCost: parts.argon2.memory_kib,
    timeCost: parts.argon2.passes,
    parallelism: parts.argon2.parallelism,
  };
  const configured = hashCost(parts.argon2);
  const costs = openHashCosts(parts);
  const semaphore = openSemaphore(LIMITS);
  const background = new Background();
  /** Returns the worker for a caller. */
  const worker = (isOfCrowd: boolean) => (isOfCrowd ? (job: Argon2Job) => background.run(job) : doArgon2Job);

  return {
    async hash(text, caller) {
      await costs.inUse(configured);
      return semaphore.run(caller, (isOfCrowd) => worker(isOfCrowd)({ verb: 'hash', text, options }));
    },
    async verify(stored, text, caller) {
      const hash = stored ?? hashThatNothingMatches(configured);
      const own = costOfHash(hash);
      const others = new Set([configured, ...(await costs.inUse(own))]);
      others.delete(own);
      return semaphore.run(caller, async (isOfCrowd) => {
        const work = worker(isOfCrowd);
        const verdict = await work({ verb: 'verify', text, hash });
        const isRight = verdict === 'right' && stored !== undefined;
        let renewed: string | undefined;
        for (const other of others) {
          // The new hash replaces the work that a wrong password costs.
          if (isRight && other === configured && isWeaker(own, configured))
            renewed = await work({ verb: 'hash', text, options });
          else await work({ verb: 'verify', text, hash: hashThatNothingMatches(other) });
        }
        return { isRight, ...(renewed !== undefined && { renewed }) };
      });
    },
    assertRoom: (caller) => semaphore.assertRoom(caller),
    close: () => background.close(),
    async learn(hashes, areAll) {
      const met = new Set(hashes.map(costOfHash));
      for (const cost of met) await costs.inUse(cost);
      if (areAll) await costs.keepOnly(met.add(configured));
    },
  };
}
