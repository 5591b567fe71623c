import type { Clock } from '../lib/clock.ts';
import type { FetchBudget } from './fetch-budget.ts';
import { imageType } from './image-kind.ts';
import { OutgoingRefused } from './outgoing-fetch.ts';

/** In seconds. */
const KEPT = 86_400;
/** Seconds before a failed picture is fetched again. */
const COOLDOWN = 600;
/** Total size of all cached pictures in bytes. */
const MOST_BYTES = 16_777_216;
const MOST_PICTURES = 2000;

export interface Logo {
  readonly type: string;
  readonly bytes: Buffer;
}

interface Kept {
  /** Undefined if it could not be fetched. */
  logo: Promise<Logo | undefined>;
  bytes: number;
  triedAt: number;
  isMissing: boolean;
}

/**
 * App logos, fetched and checked once by the server, so that no browser contacts an app's host before its person has
 * agreed.
 */
export class Logos {
  readonly #options: { fetch: typeof fetch; clock: Clock; budget?: FetchBudget };
  /** The least recently used first. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(options: { fetch: typeof fetch; clock: Clock; budget?: FetchBudget }) {
    this.#options = options;
  }

  /** @returns undefined without a usable picture; the page then shows the app's initial */
  async find(address: string, payer?: string): Promise<Logo | undefined> {
    const known = this.#kept.get(address);
    const age = known === undefined ? Infinity : (this.#options.clock.now() - known.triedAt) / 1000;
    if (known !== undefined && age < (known.isMissing ? COOLDOWN : KEPT)) {
      this.#kept.delete(address);
      this.#kept.set(address, known);
      return known.logo;
    }
    if (this.#options.budget?.take(address, payer) === false) return undefined;
    return this.#keep(address);
  }

  #keep(address: string): Promise<Logo | undefined> {
    this.#drop(address);
    const logo = this.#fetch(address).catch(() => undefined);
    const kept: Kept = { logo, bytes: 0, triedAt: this.#options.clock.now(), isMissing: false };
    this.#kept.set(address, kept);
    return logo.then((found) => {
      kept.isMissing = found === undefined;
      if (this.#kept.get(address) === kept) {
        kept.bytes = found?.bytes.length ?? 0;
        this.#bytes += kept.bytes;
        this.#forget();
      }
      return found;
    });
  }

  async #fetch(address: string): Promise<Logo> {
    const response = await this.#options.fetch(address, {
      headers: { accept: 'image/png, image/jpeg, image/webp, image/gif' },
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const type = imageType(bytes);
    if (response.status !== 200 || type === undefined) throw new OutgoingRefused(`${address} is no picture`);
    return { type, bytes };
  }

  #drop(address: string): void {
    this.#bytes -= this.#kept.get(address)?.bytes ?? 0;
    this.#kept.delete(address);
  }

  #forget(): void {
    for (const address of this.#kept.keys()) {
      if (this.#bytes <= MOST_BYTES && this.#kept.size <= MOST_PICTURES) return;
      this.#drop(address);
    }
  }
}
