import argon2, { type HashOptions } from 'argon2';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import { type Store, idOf, keyspace, type Index } from '../storage/store.ts';
import { type SemaphoreLimits, openSemaphore } from '../limits/semaphore.ts';
import type { Caller } from '../limits/lane.ts';
import { type Argon2Job, doArgon2Job } from './argon2-jobs.ts';
import { Background } from './background.ts';

/** Hashes passwords with argon2id, as PHC strings. One semaphore bounds all the work. */
export interface Hashing {
  /** Hashes a password. @throws TooBusy */
  hash(text: string, caller: Caller): Promise<string>;
  /**
   * Verifies a password. The work is the same for every hash, for a missing hash and for a wrong password. @returns
   * whether the password is right, and a hash to store instead if the old one is weaker than configured. @throws
   * TooBusy
   */
  verify(hash: string | undefined, text: string, caller: Caller): Promise<{ isRight: boolean; renewed?: string }>;
  /** Checks that the semaphore has room. @throws TooBusy if there is no room for a hash now */
  assertRoom(caller: Caller): void;
  /**
   * Remembers the costs of stored hashes. @param areAll whether these are all hashes; other costs are then forgotten
   */
  learn(hashes: readonly string[], areAll: boolean): Promise<void>;
  close(): void;
}

/**
 * Limits on concurrent hashes. Hashes share libuv's four threads with token signing, which must not wait. The queue
 * holds about a second of work for each kind of caller; any further caller should retry later.
 */
const LIMITS: SemaphoreLimits = {
  atOnce: 2,
  waiting: { known: 32, unknown: 48 },
  perBlock: 24,
  perAccount: 8,
  crowd: 8,
};

export function openHashing(dependencies: {
  records: Store;
  clock: Clock;
  argon2: Config['passwords']['argon2'];
}): Hashing {
  const options: HashOptions = {
    type: argon2.argon2id,
    memoryCost: dependencies.argon2.memory_kib,
    timeCost: dependencies.argon2.passes,
    parallelism: dependencies.argon2.parallelism,
  };
  const configured = hashCost(dependencies.argon2);
  const costs = openHashCosts(dependencies);
  const semaphore = openSemaphore(LIMITS);
  const background = new Background();
  /** Returns the function that hashes for a caller: in the background for one of a crowd, else in this process. */
  const worker = (isUnknownCaller: boolean) =>
    isUnknownCaller ? (job: Argon2Job) => background.run(job) : doArgon2Job;

  return {
    async hash(text, caller) {
      await costs.inUse(configured);
      return semaphore.run(caller, (isUnknownCaller) => worker(isUnknownCaller)({ verb: 'hash', text, options }));
    },
    async verify(stored, text, caller) {
      const hash = stored ?? hashThatNothingMatches(configured);
      const own = costOfHash(hash);
      const others = new Set([configured, ...(await costs.inUse(own))]);
      others.delete(own);
      return semaphore.run(caller, async (isUnknownCaller) => {
        const work = worker(isUnknownCaller);
        const verdict = await work({ verb: 'verify', text, hash });
        const isRight = verdict === 'right' && stored !== undefined;
        let renewed: string | undefined;
        for (const other of others) {
          // The new hash costs as much as the verification that a wrong password would need here.
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

/** The parameters of an argon2id hash, as its PHC string has them, in this order: `m=19456,t=2,p=1`. */
type HashCost = string;

/** A parameter set that some stored hash has or had. */
type CostInUse = Record<string, never>;

const costKey = keyspace<CostInUse>('password-cost');
const everyCost: Index<CostInUse> = 'password-costs';

/** Milliseconds until the costs are read again, because another node may have found a further cost. */
const FRESH_FOR = 60_000;

/**
 * The parameter sets of all stored hashes. Every verification does the work of each set once, so that the duration does
 * not reveal whether the account exists or how old its hash is.
 */
interface HashCosts {
  /** Returns all costs. @param met the cost of the current hash, which is remembered */
  inUse(met: HashCost): Promise<readonly HashCost[]>;
  /**
   * Forgets all other costs, which no stored hash has any more. If another node stores such a hash meanwhile, its first
   * verification adds the cost again.
   */
  keepOnly(used: ReadonlySet<HashCost>): Promise<void>;
}

function openHashCosts({ records, clock }: { records: Store; clock: Clock }): HashCosts {
  let [costs, readAt] = [new Set<HashCost>(), Number.NEGATIVE_INFINITY];

  async function read(): Promise<void> {
    const { keys } = await records.members(everyCost);
    [costs, readAt] = [new Set(keys.map(idOf)), clock.now()];
  }

  return {
    async inUse(met) {
      if (clock.now() - readAt >= FRESH_FOR) await read();
      if (!costs.has(met)) {
        await records.create(costKey(met), {}, { indexes: [everyCost] });
        costs.add(met);
      }
      return [...costs];
    },
    async keepOnly(used) {
      await read();
      for (const cost of [...costs].filter((each) => !used.has(each))) {
        await records.delete(costKey(cost));
        costs.delete(cost);
      }
    },
  };
}

function hashCost(parameters: { memory_kib: number; passes: number; parallelism: number }): HashCost {
  return `m=${parameters.memory_kib},t=${parameters.passes},p=${parameters.parallelism}`;
}

export function costOfHash(hash: string): HashCost {
  const parameter = (name: string): number => Number(new RegExp(`[$,]${name}=(\\d+)`).exec(hash)?.[1] ?? 0);
  return hashCost({ memory_kib: parameter('m'), passes: parameter('t'), parallelism: parameter('p') });
}

/**
 * Tells whether a cost has less memory or fewer passes. Parallelism does not count, because it makes guessing no
 * harder.
 */
function isWeaker(cost: HashCost, than: HashCost): boolean {
  const [[memory = 0, passes = 0], [otherMemory = 0, otherPasses = 0]] = [numbersOf(cost), numbersOf(than)];
  return memory < otherMemory || passes < otherPasses;
}

/** Returns a dummy hash of a given cost. A password that hashes to zeros is as unlikely as a guessed key. */
function hashThatNothingMatches(cost: HashCost): string {
  const zeros = (bytes: number) => Buffer.alloc(bytes).toString('base64').replaceAll('=', '');
  return `$argon2id$v=19$${cost}$${zeros(16)}$${zeros(32)}`;
}

function numbersOf(cost: HashCost): number[] {
  return [...cost.matchAll(/\d+/g)].map(Number);
}
