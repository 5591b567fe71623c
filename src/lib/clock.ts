/** A source of time. Code receives it as an argument, so that a test can move the time. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

/** The machine's clock. */
export const systemClock: Clock = { now: () => Date.now() };

/** Returns a clock's time in whole seconds, as JWTs write dates (RFC 7519 §2, NumericDate). */
export function epochSeconds(clock: Clock): number {
  return Math.floor(clock.now() / 1000);
}

/** Waits a limited time for work. Late work goes on, but its result is dropped. @throws the error of `late` */
export async function within<T>(milliseconds: number, work: Promise<T>, late: () => Error): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(late());
  }, milliseconds);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}

/** Milliseconds that a measurement may take. A slower one is too imprecise to replace an earlier one. */
const SLOW = 1000;
/** Milliseconds by which a measurement may set the time back. The clock then stands still instead. */
const WAVER = 1000;

/** Milliseconds by which a machine's clock may differ without a warning. */
const NOTICED = 1000;

/**
 * Estimates the time of a clock that several machines share. Adds the time since the last reading, by a monotonic
 * clock, to that reading. A machine clock that is wrong or jumps has no effect.
 */
export class SharedClock implements Clock {
  readonly #machine: Clock;
  #measured: { time: number; at: number } | undefined;
  #last = -Infinity;

  /** @param machine the clock that counts before the first measurement */
  constructor(machine: Clock) {
    this.#machine = machine;
  }

  now(): number {
    if (this.#measured === undefined) return this.#machine.now();
    const now = Math.round(this.#measured.time + performance.now() - this.#measured.at);
    this.#last = now < this.#last && this.#last - now < WAVER ? this.#last : now;
    return this.#last;
  }

  /** Milliseconds by which the machine's clock is ahead of the shared one; negative if it is behind. */
  get ahead(): number {
    return this.#measured === undefined ? 0 : this.#machine.now() - this.now();
  }

  /** @param read returns the shared clock's time in milliseconds since the epoch */
  async measure(read: () => Promise<number>): Promise<void> {
    const sent = performance.now();
    const time = await read();
    const took = performance.now() - sent;
    if (this.#measured === undefined || took < SLOW) this.#measured = { time: time + took / 2, at: sent + took };
  }
}

/** Warns if this machine's clock differs from the store's. */
export function clockWarnings({ ahead }: SharedClock): string[] {
  if (Math.abs(ahead) <= NOTICED) return [];
  const seconds = (Math.abs(ahead) / 1000).toFixed(1);
  return [
    `this machine's clock is ${seconds} s ${ahead > 0 ? 'ahead of' : 'behind'} the store's: ` +
      'synchronise both by NTP; expiry follows the time of the store',
  ];
}

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/**
 * Reads a duration such as `90s`, `15m`, `1h`, `14d`.
 * @returns whole seconds, or `undefined` if the text is not a duration
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * SECONDS[match[2] as keyof typeof SECONDS];
}

/** Writes whole seconds as `parseDuration` reads them, in the largest unit that needs no fraction. */
export function durationText(seconds: number): string {
  const units = Object.entries(SECONDS).toReversed();
  const [unit = 's', size = 1] = units.find(([, size]) => seconds % size === 0) ?? [];
  return `${seconds / size}${unit}`;
}
