import type { Clock } from '../lib/clock.ts';
import { sha256 } from '../lib/hash.ts';
import type { Counter, Store } from '../storage/store.ts';
import { RefusalMemory } from './refusal-memory.ts';

/** A subject, and the most that it may spend in one span. */
export interface Share {
  readonly subject: string;
  readonly most: number;
  /** True for a share of all subjects, which is spent only if the subject's own shares have enough left. */
  readonly isCommon?: true;
}

export interface Budget {
  /** Spends from every share, or from none. @returns whether all had enough left */
  spend(shares: readonly Share[], amount: number): Promise<boolean>;
  /** Tells, without asking the store, that a share was recently used up: `spend` would refuse. */
  isSpent(shares: readonly Share[]): boolean;
  /** Returns unneeded amounts. An amount of an earlier span gives no credit in the next. */
  giveBack(subjects: readonly string[], amount: number): Promise<void>;
}

const spentBy = (subject: string): Counter => `spent:${sha256(subject)}`;

/** Milliseconds for which this node remembers, without asking the store, that a subject has nothing left. */
const REMEMBERED = 5000;

/**
 * Opens a budget. A subject's span begins with its first amount. Any period as long as a span may touch two spans, so a
 * subject may spend up to twice its limit in it.
 */
export function openBudget(parts: {
  grants: Store;
  clock: Clock;
  /** Part of the store keys. */
  name: string;
  /** In seconds. */
  span: number;
}): Budget {
  const { grants, clock, name, span } = parts;
  const refused = new RefusalMemory(clock);
  const isSpent = (shares: readonly Share[]) => shares.some(({ subject }) => refused.remaining(subject) > 0);

  function add(subjects: readonly string[], by: number): Promise<number[]> {
    return Promise.all(subjects.map((subject) => grants.increment(spentBy(`${name}\n${subject}`), by, span)));
  }

  async function spendAll(shares: readonly Share[], amount: number): Promise<boolean> {
    const subjects = shares.map(({ subject }) => subject);
    const sums = await add(subjects, amount);
    const over = shares.filter(({ most }, index) => (sums[index] ?? 0) > most);
    if (over.length === 0) return true;
    for (const { subject } of over) refused.note(subject, REMEMBERED);
    // A refused block must not spend from shares of its neighbours.
    await add(subjects, -amount);
    return false;
  }

  return {
    async spend(shares, amount) {
      if (isSpent(shares)) return false;
      const common = shares.filter(({ isCommon }) => isCommon === true);
      const own = shares.filter(({ isCommon }) => isCommon !== true);
      // A burst that its own share refuses must not use up the common share, even briefly.
      if (!(await spendAll(own, amount))) return false;
      if (common.length === 0 || (await spendAll(common, amount))) return true;
      await add(
        own.map(({ subject }) => subject),
        -amount,
      );
      return false;
    },
    isSpent,
    async giveBack(subjects, amount) {
      const sums = await add(subjects, -amount);
      const below = subjects.map((subject, index) => ({ subject, by: -(sums[index] ?? 0) })).filter(({ by }) => by > 0);
      await Promise.all(below.map(({ subject, by }) => add([subject], by)));
    },
  };
}
