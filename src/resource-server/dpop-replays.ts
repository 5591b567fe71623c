import { age, now } from './clock.ts';
import { ReplaysUnavailable } from './errors.ts';

/** Remembers which proofs have been used. */
export interface ReplayStore {
  /**
   * Atomically records a use and tells whether it is the first.
   * @param key thumbprint of the key that signed the proof
   * @param jti SHA-256 of the proof's identifier, base64url
   * @param seconds for how long it must be remembered at least
   */
  claim(key: string, jti: string, seconds: number): boolean | Promise<boolean>;
}

type Generation = Map<string, Set<string>>;

/**
 * Proofs used in this process: two generations, of which the older one is forgotten as a whole. When there is no room left
 * new proofs are refused rather than old ones forgotten, and no single key may take more than half.
 */
export class MemoryReplays implements ReplayStore {
  readonly #capacity: number;
  #young: Generation = new Map();
  #old: Generation = new Map();
  #size = 0;
  #turnedAt = now();
  /** Seconds that the entries were promised to be kept: verifiers with different windows may share one memory. */
  #longest = 0;

  /** @param capacity of each generation; one entry takes about 100 bytes */
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
    // A clock that was set back says nothing about how old they are, so the young ones stay.
    this.#old = passed >= 2 * milliseconds && passed !== Infinity ? new Map<string, Set<string>>() : this.#young;
    this.#young = new Map();
    this.#size = 0;
    this.#turnedAt = now();
  }
}
