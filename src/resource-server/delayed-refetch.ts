import { age, now, unref, type Timer } from './timers.ts';

/** Shortest time in milliseconds between two fetches, however many events arrive. */
const PACE = 200;
/**
 * Delays of the two repeated fetches in milliseconds. The issuer's nodes usually know of each other's changes after 1
 * s, and always after 3 s. The second delay adds a margin.
 */
const LAG = 1000;
const LONGEST_LAG = 4000;

/**
 * Fetches at each event, then repeats the fetch after each delay. The first response may come from an issuer node that
 * does not know of the change yet.
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

  /** Schedules only the repeated fetches, for a caller that has just fetched. */
  later(): void {
    this.#doIn(LAG);
    // Each event postpones the last fetch, which must come LONGEST_LAG after the last event.
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
