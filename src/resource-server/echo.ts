import { age, now } from './clock.ts';
import { unref, type Timer } from './timers.ts';

/** Milliseconds between two times, however much news comes. */
const PACE = 200;
/** Milliseconds. Nodes of an issuer learn of each other's changes within one second, and vouch for nothing after three. */
const LAG = 1000;
const LONGEST_LAG = 4000;

/**
 * Does something at each piece of news, and again when every node of the issuer must know of it: the answer to the first time
 * may come from one that does not yet.
 */
export class Echo {
  readonly #action: () => void;
  readonly #timers = new Map<number, Timer>();
  #doneAt = -Infinity;

  constructor(action: () => void) {
    this.#action = action;
  }

  news(): void {
    if (age(this.#doneAt) >= PACE) this.#do();
    else this.#doIn(PACE);
    this.later();
  }

  /** Only when every node must know, for what has just been done. */
  later(): void {
    this.#doIn(LAG);
    // The news may go on, so the last time is that long after the last of it.
    clearTimeout(this.#timers.get(LONGEST_LAG));
    this.#timers.delete(LONGEST_LAG);
    this.#doIn(LONGEST_LAG);
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  #doIn(milliseconds: number): void {
    if (this.#timers.has(milliseconds)) return;
    const timer = setTimeout(() => {
      this.#timers.delete(milliseconds);
      this.#do();
    }, milliseconds);
    this.#timers.set(milliseconds, unref(timer));
  }

  #do(): void {
    this.#doneAt = now();
    this.#action();
  }
}
