/** The caller on whose behalf the server hashes a password. */
export interface Caller {
  /** The address block that the request came from. */
  block: string;
  /** The account's email address or id; absent if there is no account yet. */
  account?: string;
  /** True if the account's owner has signed in on this device before. */
  isKnown: boolean;
}

/** The caller for the operator's commands and configuration. */
export const OPERATOR: Caller = { block: 'operator', isKnown: true };

interface LaneLimits {
  /** Callers that may wait, at least one. */
  waiting: number;
  perBlock: number;
  perAccount: number;
}

interface Waiter {
  caller: Caller;
  start: () => void;
  refuse: () => void;
}

/** A queue of callers. Address blocks take turns; within a block, callers are served in order. */
export class Lane {
  readonly #limits: LaneLimits;
  readonly #refusal: () => Error;
  /** Waiting callers by block. The first block is served next. */
  readonly #queues = new Map<string, Waiter[]>();
  readonly #underWay = new Map<string, number>();
  running = 0;
  waiting = 0;

  /** @param refusal makes the error for a caller that finds no room or is displaced */
  constructor(limits: LaneLimits, refusal: () => Error) {
    this.#limits = limits;
    this.#refusal = refusal;
  }

  /**
   * Adds a caller to the queue, or throws at once if there is no room. If the lane is full, a caller from a block with
   * a shorter queue displaces the last caller of the block with the longest.
   * @returns resolves once {@link Lane.startNext} starts the caller; rejects if another caller displaces it
   */
  enter(caller: Caller): Promise<void> {
    this.assertRoom(caller);
    if (this.#isFull()) this.#displace(this.#longest());
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const waiter = { caller, start: () => resolve(undefined), refuse: () => reject(this.#refusal()) };
    this.#queues.set(caller.block, [...(this.#queues.get(caller.block) ?? []), waiter]);
    this.waiting += 1;
    this.#count(caller, 1);
    return promise;
  }

  /** Throws if there is no room now. */
  assertRoom(caller: Caller): void {
    if (this.#isOverBound(caller)) throw this.#refusal();
    const own = this.#queues.get(caller.block)?.length ?? 0;
    if (this.#isFull() && (this.#queues.get(this.#longest())?.length ?? 0) <= own + 1) throw this.#refusal();
  }

  /** Starts the next caller. @returns whether a caller was waiting */
  startNext(): boolean {
    for (const [block, [next, ...rest]] of this.#queues) {
      this.#queues.delete(block);
      if (rest.length > 0) this.#queues.set(block, rest);
      this.waiting -= 1;
      this.running += 1;
      next?.start();
      return true;
    }
    return false;
  }

  /** Records that a caller's task has ended. */
  leave(caller: Caller): void {
    this.running -= 1;
    this.#count(caller, -1);
  }

  #isOverBound(caller: Caller): boolean {
    const { perBlock, perAccount } = this.#limits;
    const [block = 0, account = 0] = namesOf(caller).map((name) => this.#underWay.get(name) ?? 0);
    return block >= perBlock || account >= perAccount;
  }

  #isFull(): boolean {
    return this.waiting >= this.#limits.waiting;
  }

  /** Returns the block with the longest queue. */
  #longest(): string {
    const [block] = [...this.#queues].reduce((most, other) => (other[1].length > most[1].length ? other : most));
    return block;
  }

  #displace(block: string): void {
    const queue = this.#queues.get(block) ?? [];
    const last = queue.at(-1);
    if (last === undefined) return;
    this.#queues.set(block, queue.slice(0, -1));
    this.waiting -= 1;
    this.#count(last.caller, -1);
    last.refuse();
  }

  #count(caller: Caller, by: 1 | -1): void {
    for (const name of namesOf(caller)) {
      const now = (this.#underWay.get(name) ?? 0) + by;
      if (now === 0) this.#underWay.delete(name);
      else this.#underWay.set(name, now);
    }
  }
}

function namesOf({ block, account }: Caller): string[] {
  return account === undefined ? [`block ${block}`] : [`block ${block}`, `account ${account}`];
}
