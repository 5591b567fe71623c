import { age, now } from './timers.ts';
import { ReplaysUnavailable } from './errors.ts';

/** Records which proofs have been used. */
export interface ReplayStore {
  /**
   * Records a use atomically and tells whether it is the first. @param key thumbprint of the signing key @param jti
   * SHA-256 of the proof's identifier, base64url @param seconds least time to remember it
   */
  claim(key: string, jti: string, seconds: number): boolean | Promise<boolean>;
}

type Generation = Map<string, Set<string>>;

/**
 * Proofs used in this process, in two generations; the older one is dropped as a whole. When full, it refuses new
 * proofs rather than forget old ones, and no single key may take more than half.
 */
export class MemoryReplays implements ReplayStore {
  readonly #capacity: number;
  #young: Generation = new Map();
  #old: Generation = new Map();
  #size = 0;
  #turnedAt = now();
  /** Longest promised time in seconds: verifiers with different windows may share one store. */
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
    // A clock that was set back does not show their age, so the young ones stay.
    this.#old = passed >= 2 * milliseconds && passed !== Infinity ? new Map<string, Set<string>>() : this.#young;
    this.#young = new Map();
    this.#size = 0;
    this.#turnedAt = now();
  }
}
