import type { Clock } from '../lib/clock.ts';

/** Subjects that are remembered, at most. */
const MOST = 10_000;

/**
 * Remembers refused subjects and the end of their refusal, so that refusing a flood costs no call to the store. If
 * there are too many, the oldest is forgotten, and the store is asked again.
 */
export class RefusalMemory {
  readonly #clock: Clock;
  readonly #until = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param milliseconds duration from now in which the subject is certainly refused */
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
