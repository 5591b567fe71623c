import type { Clock } from './clock.ts';

/** An answer that took longer, in milliseconds, does not tell the time well enough to replace an earlier one. */
const SLOW = 1000;
/**
 * By so much the time may seem to go back from one measurement to the next, in milliseconds; it stands still instead.
 */
const WAVER = 1000;

/** By so much a machine's clock may differ without a warning, in milliseconds. */
const NOTICED = 1000;

/**
 * The time of a clock that several machines share, as this one reckons it: what the shared clock said last, and what has
 * passed since by a clock that nobody sets. The machine's own clock may be wrong, or jump, without any effect.
 */
export class SharedClock implements Clock {
  readonly #machine: Clock;
  #measured: { time: number; at: number } | undefined;
  #last = -Infinity;

  /** Until it is measured, the time is the machine's. */
  constructor(machine: Clock) {
    this.#machine = machine;
  }

  now(): number {
    if (this.#measured === undefined) return this.#machine.now();
    const now = Math.round(this.#measured.time + performance.now() - this.#measured.at);
    this.#last = now < this.#last && this.#last - now < WAVER ? this.#last : now;
    return this.#last;
  }

  /** By how much the machine's clock is ahead, in milliseconds; negative where it is behind. */
  get ahead(): number {
    return this.#measured === undefined ? 0 : this.#machine.now() - this.now();
  }

  /** @param read asks the shared clock: milliseconds since the epoch */
  async measure(read: () => Promise<number>): Promise<void> {
    const sent = performance.now();
    const time = await read();
    const took = performance.now() - sent;
    if (this.#measured === undefined || took < SLOW) this.#measured = { time: time + took / 2, at: sent + took };
  }
}

/** The store's time, on a machine whose own clock differs. */
export function clockWarnings({ ahead }: SharedClock): string[] {
  if (Math.abs(ahead) <= NOTICED) return [];
  const seconds = (Math.abs(ahead) / 1000).toFixed(1);
  return [
    `this machine's clock is ${seconds} s ${ahead > 0 ? 'ahead of' : 'behind'} the store's: ` +
      'have both follow NTP; what is stored counts by the time of the store',
  ];
}
