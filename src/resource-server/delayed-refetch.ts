import { age, now, unref, type Timer } from './timers.ts';

/** Shortest time between two fetches in milliseconds, however many events arrive. */
const PACE = 200;
/** Milliseconds after which an issuer's nodes should know, and must know, of each other's changes (1 s and 3 s). */
const LAG = 1000;
const LONGEST_LAG = 4000;

/**
 * Fetches at each event, and again once every node of the issuer must know of the change: the first response may come
 * from a node that does not know yet.
 */
export class DelayedRefetch {
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

  /** Schedules only the later fetches, after the caller has fetched just now. */
  later(): void {
    this.#doIn(LAG);
    // The last fetch follows the last event by this time, so each event postpones it.
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
