import { createHmac } from 'node:crypto';
import { isSameText } from './same-text.ts';

/**
 * The nonces of this API (RFC 9449 §9): each is good for one to two periods. They are made from a secret and the time, so that
 * nothing is kept and processes with the same secret accept each other's.
 */
export class Nonces {
  readonly #secret: Uint8Array;
  readonly #period: number;
  readonly #now: () => number;

  /** @param period seconds; `now` gives seconds since the Unix epoch */
  constructor(secret: Uint8Array, period: number, now: () => number) {
    this.#secret = secret;
    this.#period = period;
    this.#now = now;
  }

  current(): string {
    return this.#at(this.#slot());
  }

  accepts(nonce: unknown): boolean {
    if (typeof nonce !== 'string') return false;
    const slot = this.#slot();
    return [slot, slot - 1].some((at) => isSameText(nonce, this.#at(at)));
  }

  #slot(): number {
    return Math.floor(this.#now() / this.#period);
  }

  #at(slot: number): string {
    return createHmac('sha256', this.#secret).update(`dpop-nonce:${slot}`).digest('base64url');
  }
}
