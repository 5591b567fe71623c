import { base64url } from 'jose';
import type { CryptoKey } from 'jose';
import { isSameText } from './bytes.ts';

/**
 * Nonces of this API (RFC 9449 §9), each valid for one to two periods. They are derived from a secret and the time, so
 * nothing is stored, and processes with the same secret accept each other's.
 */
export class Nonces {
  readonly #secret: Uint8Array<ArrayBuffer> | undefined;
  readonly #period: number;
  readonly #now: () => number;
  #key: Promise<CryptoKey> | undefined;

  /** @param secret random by default; `period` in seconds; `now` returns seconds since the Unix epoch */
  constructor(secret: Uint8Array | undefined, period: number, now: () => number) {
    this.#secret = secret && new Uint8Array(secret);
    this.#period = period;
    this.#now = now;
  }

  current(): Promise<string> {
    return this.#at(this.#slot());
  }

  async accepts(nonce: unknown): Promise<boolean> {
    if (typeof nonce !== 'string') return false;
    const slot = this.#slot();
    const good = await Promise.all([slot, slot - 1].map((at) => this.#at(at)));
    return good.some((one) => isSameText(nonce, one));
  }

  #slot(): number {
    return Math.floor(this.#now() / this.#period);
  }

  async #at(slot: number): Promise<string> {
    // Created when first needed: edge runtimes provide no randomness before the first request.
    const secret = (): Uint8Array<ArrayBuffer> => this.#secret ?? crypto.getRandomValues(new Uint8Array(32));
    this.#key ??= crypto.subtle.importKey('raw', secret(), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    const text = new TextEncoder().encode(`dpop-nonce:${slot}`);
    return base64url.encode(new Uint8Array(await crypto.subtle.sign('HMAC', await this.#key, text)));
  }
}
