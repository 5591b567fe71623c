import type { Clock } from '../lib/clock.ts';

/** Subjects that are remembered, at most. */
const MOST = 10_000;

/**
 * Memory of subjects that are refused, and until when, as this node knows without asking the store: a flood that is
 * refused must cost next to nothing. Of too many subjects the one that was noted first is forgotten, so that the store
 * is asked again.
 */
export class RefusalMemory {
  readonly #clock: Clock;
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param milliseconds from now, for which nothing can let the subject in */
  note(subject: string, milliseconds: number): void {
    this.#until.delete(subject);
    const [oldest] = this.#until.keys();
    if (this.#until.size >= MOST && oldest !== undefined) this.#until.delete(oldest);
    this.#until.set(subject, this.#clock.now() + milliseconds);
  }

  /** @returns milliseconds for which the subject is still refused; 0 where nothing is remembered */
  remaining(subject: string): number {
    const until = this.#until.get(subject);
    if (until === undefined) return 0;
    const left = until - this.#clock.now();
    if (left > 0) return left;
    this.#until.delete(subject);
    return 0;
  }
}
