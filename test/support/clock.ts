import type { Clock } from '../../src/lib/clock.ts';

const SystemDate = Date;
let ahead = 0;

/**
 * Moves this process's clock: the engine and `jose` read the time by themselves, so the system's clock must move for
 * all of them. A Redis keeps its own time.
 */
export function travel(seconds: number): void {
  ahead += seconds * 1000;
  const now = (): number => SystemDate.now() + ahead;
  globalThis.Date = new Proxy(SystemDate, {
    get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
    construct: (target, parts: unknown[]) => Reflect.construct(target, parts.length === 0 ? [now()] : parts) as Date,
  });
}

export function returnToPresent(): void {
  ahead = 0;
  globalThis.Date = SystemDate;
}

/** A clock for parts that are handed one: it stands still until it is moved. */
export class MovedClock implements Clock {
  #time = 1_800_000_000_000;
  now(): number {
    return this.#time;
  }
  advance(seconds: number): void {
    this.#time += seconds * 1000;
  }
}
