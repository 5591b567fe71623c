import type { Clock } from '../lib/clock.ts';

/** One hour in milliseconds. */
const HOUR = 3_600_000;
/** One day in milliseconds. An address that has not answered for so long loses its place in the reserve. */
const DAY = 86_400_000;
const MOST_NAMES = 30_000;
/** Fraction of a host's remaining fetches that one caller may use. */
const SHARE = 1 / 10;
/**
 * Fetches per hour that are reserved for an address that has answered. They suffice, because keys are valid for an
 * hour.
 */
const KEPT_FETCHES = 2;
/** Maximum number of addresses that one caller may add to a host's reserve. */
const PROVEN_BY_CALLER = 5;
const MOST_PROVEN = 10_000;

/** The fetches allowed in one hour. */
interface FetchLimits {
  /** Fetches for one caller, from all hosts. */
  readonly caller: number;
  /** Fetches from one host, without its reserve. */
  readonly common: number;
  /** Fetches per host, for addresses that have answered before. */
  readonly reserve: number;
}

interface Proven {
  readonly host: string;
  readonly caller: string | undefined;
  readonly answeredAt: number;
}

/**
 * Limits the fetches that strangers cause in an hour. A limit for each caller keeps one caller from causing many
 * fetches. A limit for each host keeps many callers from flooding it together. A caller may use a tenth of a host's
 * remaining fetches. Two fetches are reserved for each address that has answered before.
 */
export class FetchBudget {
  readonly #clock: Clock;
  readonly #most: FetchLimits;
  readonly #counts = new Map<string, number>();
  /** Addresses that have answered, the least recent first. */
  readonly #proven = new Map<string, Proven>();
  #begin = 0;

  constructor({ clock, most }: { clock: Clock; most: FetchLimits }) {
    this.#clock = clock;
    this.#most = most;
  }

  /** Counts a fetch, if the limits allow it. @returns whether they do */
  take(address: string, caller: string | undefined): boolean {
    const now = this.#clock.now();
    if (now - this.#begin >= HOUR) {
      this.#begin = now;
      this.#counts.clear();
    }
    const { host } = new URL(address);
    const names = this.#mayTakeCommon(host, caller) ?? this.#mayTakeReserve(host, address);
    for (const name of names ?? []) this.#count(name);
    return names !== undefined;
  }

  /** Records that an address has given a useful answer. */
  answered(address: string, caller: string | undefined): void {
    const { host } = new URL(address);
    const now = this.#clock.now();
    for (const [silent, { answeredAt }] of this.#proven) {
      if (now - answeredAt < DAY && this.#proven.size < MOST_PROVEN) break;
      this.#proven.delete(silent);
    }
    const known = this.#proven.get(address);
    if (known === undefined && !this.#hasPlace(host, caller)) return;
    this.#proven.delete(address);
    this.#proven.set(address, { host, caller, ...known, answeredAt: now });
  }

  /** @returns the names of the counters to increment; undefined if the fetch is not allowed */
  #mayTakeCommon(host: string, caller: string | undefined): string[] | undefined {
    const ofHost = `host ${host}`;
    const left = this.#most.common - this.#countOf(ofHost);
    if (left <= 0) return undefined;
    if (caller === undefined) return [ofHost];
    const [ofCaller, here] = [`caller ${caller}`, `caller ${caller} at ${host}`];
    if (this.#countOf(ofCaller) >= this.#most.caller) return undefined;
    return this.#countOf(here) < Math.max(1, left * SHARE) ? [ofHost, ofCaller, here] : undefined;
  }

  #mayTakeReserve(host: string, address: string): string[] | undefined {
    const [ofReserve, own] = [`reserve ${host}`, `address ${address}`];
    const hasLeft = this.#countOf(ofReserve) < this.#most.reserve && this.#countOf(own) < KEPT_FETCHES;
    return hasLeft && this.#proven.has(address) ? [ofReserve, own] : undefined;
  }

  /** Tells whether another address fits into a host's reserve, which must suffice for every address in it. */
  #hasPlace(host: string, caller: string | undefined): boolean {
    const there = [...this.#proven.values()].filter((proven) => proven.host === host);
    const theirs = there.filter((proven) => proven.caller === caller);
    return there.length < this.#most.reserve / KEPT_FETCHES && theirs.length < PROVEN_BY_CALLER;
  }

  #countOf(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  #count(name: string): void {
    const count = this.#countOf(name) + 1;
    this.#counts.delete(name);
    this.#counts.set(name, count);
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > MOST_NAMES && oldest !== undefined) this.#counts.delete(oldest);
  }
}
