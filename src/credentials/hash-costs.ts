import type { Clock } from '../lib/clock.ts';
import { idOf, keyspace, type Index, type Store } from '../storage/store.ts';

/** The parameters of an argon2id hash, as its PHC string has them, in this order: `m=19456,t=2,p=1`. */
export type HashCost = string;

/** A parameter set that some stored hash has or had. */
type CostInUse = Record<string, never>;

const costKey = keyspace<CostInUse>('password-cost');
const everyCost: Index<CostInUse> = 'password-costs';

/** Another node may have found a further cost meanwhile. */
const FRESH_FOR = 60_000;

/**
 * The parameter sets of all stored hashes. Every verification does the work of each set once, so that the duration does
 * not reveal whether the account exists or how old its hash is.
 */
export interface HashCosts {
  /** @param met the cost of the current hash, which is remembered */
  inUse(met: HashCost): Promise<readonly HashCost[]>;
  /**
   * Forgets all other costs, which no stored hash has any more. A cost stored meanwhile is found at its first
   * verification.
   */
  keepOnly(used: ReadonlySet<HashCost>): Promise<void>;
}

export function openHashCosts({ records, clock }: { records: Store; clock: Clock }): HashCosts {
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

export function hashCost(parameters: { memory_kib: number; passes: number; parallelism: number }): HashCost {
  return `m=${parameters.memory_kib},t=${parameters.passes},p=${parameters.parallelism}`;
}

export function costOfHash(hash: string): HashCost {
  const parameter = (name: string): number => Number(new RegExp(`[$,]${name}=(\\d+)`).exec(hash)?.[1] ?? 0);
  return hashCost({ memory_kib: parameter('m'), passes: parameter('t'), parallelism: parameter('p') });
}

/** Lower memory or fewer passes; parallelism makes guessing no harder. */
export function isWeaker(cost: HashCost, than: HashCost): boolean {
  const [[memory = 0, passes = 0], [otherMemory = 0, otherPasses = 0]] = [numbersOf(cost), numbersOf(than)];
  return memory < otherMemory || passes < otherPasses;
}

/** A dummy hash with the cost of a real one. A password that hashes to zeros is as unlikely as a guessed key. */
export function hashThatNothingMatches(cost: HashCost): string {
  const zeros = (bytes: number) => Buffer.alloc(bytes).toString('base64').replaceAll('=', '');
  return `$argon2id$v=19$${cost}$${zeros(16)}$${zeros(32)}`;
}

function numbersOf(cost: HashCost): number[] {
  return [...cost.matchAll(/\d+/g)].map(Number);
}
