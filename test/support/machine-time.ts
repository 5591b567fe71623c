const TICK = 10;
/** What a timer may be late by on an idle machine, in milliseconds. */
const ORDINARY = 20;

/** Measures for how long this process was kept from running: a bound in milliseconds must allow for that. */
export class MachineTime implements Disposable {
  #lost = 0;
  #last = performance.now();
  readonly #timer = setInterval(() => {
    this.#look();
  }, TICK);

  /** Milliseconds since the start in which this process should have run and did not. */
  get lost(): number {
    this.#look();
    return this.#lost;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    const late = now - this.#last - TICK;
    if (late > ORDINARY) this.#lost += late;
    this.#last = now;
  }
}
