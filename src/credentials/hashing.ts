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
   * Does the same work for every hash, and without one, whether the text is right or wrong.
   * @returns whether it is right, and a hash to store instead where that one is weaker than configured. @throws TooBusy
   */
  verify(hash: string | undefined, text: string, caller: Caller): Promise<{ isRight: boolean; renewed?: string }>;
  /** @throws TooBusy when a hash would find no room now */
  assertRoom(caller: Caller): void;
  /**
   * Remembers what stored hashes cost.
   * @param areAll whether there are no others: what costs something else is forgotten
   */
  learn(hashes: readonly string[], areAll: boolean): Promise<void>;
  close(): void;
}

/**
 * Hashes at once share libuv's four threads with token signing, which must not wait for them. The waiting ones are about
 * a second of work for each kind of caller: one that stands further back is better told to come again.
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
  /** The place where the work of a caller is done. */
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
          // Making the new hash takes the place of the work that a wrong password costs.
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
