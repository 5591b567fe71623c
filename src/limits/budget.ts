import type { Clock } from '../lib/clock.ts';
import { sha256 } from '../lib/hash.ts';
import type { Counter, Store } from '../storage/store.ts';
import { addressBlocks } from '../http/address-block.ts';

/** A subject, and the most that it may spend in one span. */
export interface Share {
  readonly subject: string;
  readonly most: number;
  /** True for a share that all subjects have in common. `spend` uses it only if the other shares have enough left. */
  readonly isCommon?: true;
}

export interface Budget {
  /** Spends from every share, or from none. @returns whether all shares had enough left */
  spend(shares: readonly Share[], amount: number): Promise<boolean>;
  /** Tells, without asking the store, whether a share was recently used up, so that `spend` would refuse. */
  isSpent(shares: readonly Share[]): boolean;
  /** Returns an amount that was not needed. The sum never falls below zero, even if a new span has begun since. */
  refund(subjects: readonly string[], amount: number): Promise<void>;
}

const spentBy = (subject: string): Counter => `spent:${sha256(subject)}`;

/** Milliseconds for which this node remembers, without asking the store, that a subject has nothing left. */
const REMEMBERED = 5000;

/**
 * Opens a budget. A subject's span begins when the subject first spends. Any period of this length may overlap two
 * spans, so a subject may spend up to twice its limit in such a period.
 */
export function openBudget(dependencies: {
  grants: Store;
  clock: Clock;
  /** The budget's name within the store's keys. */
  name: string;
  /** Length of a span in seconds. */
  span: number;
}): Budget {
  const { grants, clock, name, span } = dependencies;
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
    // A refused block must not use up a wider block, whose share its neighbours need too.
    await add(subjects, -amount);
    return false;
  }

  return {
    async spend(shares, amount) {
      if (isSpent(shares)) return false;
      const common = shares.filter(({ isCommon }) => isCommon === true);
      const own = shares.filter(({ isCommon }) => isCommon !== true);
      // A burst that exceeds the subject's own shares must not use up the common share, not even briefly.
      if (!(await spendAll(own, amount))) return false;
      if (common.length === 0 || (await spendAll(common, amount))) return true;
      await add(
        own.map(({ subject }) => subject),
        -amount,
      );
      return false;
    },
    isSpent,
    async refund(subjects, amount) {
      const sums = await add(subjects, -amount);
      const below = subjects.map((subject, index) => ({ subject, by: -(sums[index] ?? 0) })).filter(({ by }) => by > 0);
      await Promise.all(below.map(({ subject, by }) => add([subject], by)));
    },
  };
}

/** Multiples of the limit for each block, the narrowest first: an IPv4 address or a /64, then a /56, then a /48. */
const WIDER = [1, 2, 4];

/** Returns the shares from which an address spends. @param most limit of an IPv4 address or a /64 */
export function blockShares(address: string, most: number): Share[] {
  return addressBlocks(address).map((subject, index) => ({ subject, most: most * (WIDER[index] ?? 1) }));
}

/** Maximum number of subjects that are remembered. */
const MOST = 10_000;

/**
 * Remembers until when subjects are refused, so that refusing a flood costs no call to the store. If there are too many
 * subjects, it forgets the oldest, and the next attempt of that subject asks the store again.
 */
export class RefusalMemory {
  readonly #clock: Clock;
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param milliseconds time from now for which the subject is certainly refused */
  note(subject: string, milliseconds: number): void {
    this.#until.delete(subject);
    const [oldest] = this.#until.keys();
    if (this.#until.size >= MOST && oldest !== undefined) this.#until.delete(oldest);
    this.#until.set(subject, this.#clock.now() + milliseconds);
  }

  /** @returns milliseconds for which the subject is still refused; 0 if nothing is remembered */
  remaining(subject: string): number {
    const until = this.#until.get(subject);
    if (until === undefined) return 0;
    const left = until - this.#clock.now();
    if (left > 0) return left;
    this.#until.delete(subject);
    return 0;
  }
}
