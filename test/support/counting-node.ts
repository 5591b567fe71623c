import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import { setImmediate as turn } from 'node:timers/promises';
import { storesAround } from './stores-around.ts';

/** Milliseconds in which nothing more is asked of the store, so that all that is asked at once counts once. */
const QUIET = 4;
/** Rounds of the event loop after that: on a busy machine the time may pass before the node gets to ask. */
const ROUNDS = 3;

/** The count that the running code belongs to: none for what a node does by itself, which nobody waits for. */
const counted = new AsyncLocalStorage<symbol | undefined>();

/**
 * The stores of a node that count how often something waits for them in a row. The answers to all that is asked at the same
 * time are held back, and given together. It goes on with no revocation: that is for another node. Of all that the node does,
 * only what comes of the counted work counts: the work itself, and the requests that are made meanwhile.
 */
export class CountingNode {
  readonly #waiting = new Set<() => void>();
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined;
  #turns: string[][] = [];
  #turn: string[] = [];
  /** The present count. */
  #count: symbol | undefined;

  constructor() {
    subscribe('http.server.request.start', () => counted.enterWith(this.#count));
  }

  /** @returns what was asked in each turn */
  async count(work: () => Promise<unknown>): Promise<string[][]> {
    const count = Symbol('count');
    [this.#turns, this.#turn, this.#count] = [[], [], count];
    try {
      await counted.run(count, work);
    } finally {
      this.#count = undefined;
      // The work has ended without the answers that are still held back.
      this.#turn = [];
      this.#release();
    }
    return this.#turns;
  }

  readonly #stores = storesAround(async (call, name, given) => {
    if (name === 'members' && given[0] === 'revocations') return { keys: [] };
    if (!this.#isCounting() || name === 'subscribe') return call();
    this.#turn.push(`${name} ${String(given[0]).slice(0, 30)}`);
    this.#underWay += 1;
    clearTimeout(this.#timer);
    try {
      return await call();
    } finally {
      this.#underWay -= 1;
      await this.#held();
    }
  });
  readonly openStores = this.#stores.openStores;
  readonly around = this.#stores.around;

  #isCounting(): boolean {
    return this.#count !== undefined && counted.getStore() === this.#count;
  }

  #held(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#count === undefined) {
        resolve();
        return;
      }
      this.#waiting.add(resolve);
      clearTimeout(this.#timer);
      if (this.#underWay === 0) this.#timer = setTimeout(() => void this.#releaseWhenQuiet(), QUIET);
    });
  }

  async #releaseWhenQuiet(): Promise<void> {
    const asked = this.#turn.length;
    for (let round = 0; round < ROUNDS; round += 1) await turn();
    // Whatever was asked meanwhile releases it all in its turn.
    if (this.#turn.length === asked && this.#underWay === 0) this.#release();
  }

  #release(): void {
    if (this.#turn.length > 0) this.#turns.push(this.#turn);
    this.#turn = [];
    const all = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of all) resolve();
  }
}
