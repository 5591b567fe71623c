import { age, now } from './timers.ts';
import { ReplaysUnavailable } from './errors.ts';

/** Records which proofs have been used. */
export interface ReplayStore {
  /**
   * Records the use of a proof atomically.
   * @param key thumbprint of the signing key
   * @param jti SHA-256 of the proof's identifier, base64url
   * @param seconds shortest time for which the store must remember the use
   * @returns whether this is the first use
   */
  claim(key: string, jti: string, seconds: number): boolean | Promise<boolean>;
}

type Generation = Map<string, Set<string>>;

/**
 * Proofs used in this process, in two generations. The older generation is dropped as a whole. A full store refuses new
 * proofs instead of forgetting old ones. No single key may use more than half of the capacity.
 */
export class MemoryReplays implements ReplayStore {
  readonly #capacity: number;
  #young: Generation = new Map();
  #old: Generation = new Map();
  #size = 0;
  #turnedAt = now();
  /** Longest time in seconds that a caller has asked for. Verifiers that share a store may have different windows. */
  #longest = 0;

  /** @param capacity largest number of proofs in each generation; a proof takes about 100 bytes */
  constructor(capacity = 100_000) {
    this.#capacity = capacity;
  }

  /** @throws ReplaysUnavailable */
  claim(key: string, jti: string, seconds: number): boolean {
    this.#longest = Math.max(this.#longest, seconds);
    this.#turn(this.#longest * 1000);
    const young = this.#young.get(key) ?? new Set();
    if (young.has(jti) || this.#old.get(key)?.has(jti) === true) return false;
    if (this.#size >= this.#capacity || young.size >= this.#capacity / 2) throw new ReplaysUnavailable();
    this.#young.set(key, young.add(jti));
    this.#size += 1;
    return true;
  }

  #turn(milliseconds: number): void {
    const passed = age(this.#turnedAt);
    if (passed < milliseconds) return;
    // If the clock was set back, `passed` is infinite and the age of the young proofs is unknown, so they are kept.
    this.#old = passed >= 2 * milliseconds && passed !== Infinity ? new Map<string, Set<string>>() : this.#young;
    this.#young = new Map();
    this.#size = 0;
    this.#turnedAt = now();
  }
}
