import { age, now } from './clock.ts';

/** Seconds. Nodes of an issuer learn of each other's changes within one, and vouch for nothing after three. */
const LAG = 1;
const LAG_AT_MOST = 4;

/**
 * Does something at each piece of news, and again when every node of the issuer must know of it: the answer to the first time
 * may come from one that does not yet. However much news comes, it is done about once a second.
 */
export class Echo {
  readonly #action: () => void;
  #doneAt = -Infinity;
  #soon: NodeJS.Timeout | undefined;
  #late: NodeJS.Timeout | undefined;

  constructor(action: () => void) {
    this.#action = action;
  }

  news(): void {
    if (age(this.#doneAt) >= LAG * 1000) this.#do();
    this.later();
  }

  /** Only when every node must know, for what has just been done. */
  later(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.#do();
    }, LAG * 1000).unref();
    clearTimeout(this.#late);
    this.#late = setTimeout(() => this.#do(), LAG_AT_MOST * 1000).unref();
  }

  close(): void {
    clearTimeout(this.#soon);
    clearTimeout(this.#late);
  }

  #do(): void {
    this.#doneAt = now();
    this.#action();
  }
}
