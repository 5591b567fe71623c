import type { Clock } from '../lib/clock.ts';
import { keyspace, StoreUnavailable, type Key, type Store } from './store.ts';
import { upsert } from './update.ts';

/**
 * The newest format that this version reads and writes. Formats are counted from 1, for both stores together. The step
 * to each later format is in `domain/upgrades.ts`, and docs/upgrades.md describes it.
 */
export const NEWEST_FORMAT = 2;

/**
 * The formats in a store, as its mark says: `oldest` ≤ `writes` ≤ `reads`. They are equal, except during an upgrade. The
 * upgrade first raises `reads`, then `writes`, then converts the existing records, and then raises `oldest`.
 */
export interface Formats {
  /** The oldest format in which a node must look for a record. */
  oldest: number;
  /** The format in which a node writes. */
  writes: number;
  /** The newest format in which a node must look for a record, because another node may write it already. */
  reads: number;
}

/** The mark. A store without it was made by a version that knew only format 1. */
const formatKey: Key<Formats> = keyspace<Formats>('store-format')('main');
const UNMARKED: Formats = { oldest: 1, writes: 1, reads: 1 };

/** Milliseconds for which a node uses the mark as it read it last. */
const FRESH = 5000;
/**
 * Milliseconds after a change of the mark until every node follows it. A node may have read the mark just before the
 * change, and the writes that it then begins take some seconds at most.
 */
export const FOLLOWED_AFTER = FRESH + 10_000;

/** Refusal of a store in a format that this version does not know. */
class NewerStore extends Error {
  override name = 'NewerStore';
}

interface FormatOptions {
  /** The store URL without its password, for messages. */
  place: string;
  clock: Clock;
  /** The newest format that this process knows. */
  newest?: number | undefined;
}

/** This process's view of the mark. Whoever writes or looks for a record that has several formats asks it each time. */
export class StoreFormat {
  readonly #records: Store;
  readonly #options: FormatOptions;
  #formats: Formats = UNMARKED;
  /** The times at which the latest read began. One of the two clocks goes on whatever is suspended. */
  #readAt = { clock: -Infinity, monotonic: -Infinity };
  #reading: Promise<void> | undefined;

  private constructor(records: Store, options: FormatOptions) {
    this.#records = records;
    this.#options = options;
  }

  /** Reads the mark. @throws NewerStore, with the remedy */
  static async open(records: Store, options: FormatOptions): Promise<StoreFormat> {
    const format = new StoreFormat(records, options);
    await format.#read();
    if (format.#isNewer()) throw new NewerStore(format.#refusal());
    return format;
  }

  /** The newest format that this process knows. */
  get newest(): number {
    return this.#options.newest ?? NEWEST_FORMAT;
  }

  /**
   * Returns the formats of the store. It reads the mark again if the latest read is more than five seconds ago.
   * @throws StoreUnavailable also if a newer version has upgraded the store meanwhile
   */
  async current(): Promise<Formats> {
    if (!this.#isFresh()) await (this.#reading ??= this.#read().finally(() => (this.#reading = undefined)));
    if (this.#isNewer()) throw new StoreUnavailable(this.#refusal());
    return this.#formats;
  }

  /** Marks a new store as having the newest format only, unless another node has just marked it. */
  async markNewStore(): Promise<void> {
    const { newest } = this;
    await this.#records.create(formatKey, { oldest: newest, writes: newest, reads: newest });
    await this.#read();
    if (this.#isNewer()) throw new NewerStore(this.#refusal());
  }

  async #read(): Promise<void> {
    const readAt = { clock: this.#options.clock.now(), monotonic: performance.now() };
    const found = await this.#records.get(formatKey);
    // A store never returns to an older format. A missing mark means that the whole store was emptied.
    if (found !== undefined) this.#formats = inOrder(found.value);
    this.#readAt = readAt;
  }

  #isFresh(): boolean {
    const elapsed = this.#options.clock.now() - this.#readAt.clock;
    return Math.abs(elapsed) < FRESH && performance.now() - this.#readAt.monotonic < FRESH;
  }

  #isNewer(): boolean {
    return this.#formats.reads > this.newest;
  }

  #refusal(): string {
    return newerFormat(`the store ${this.#options.place}`, this.#formats.reads, this.newest);
  }
}

/** Explains that a store or a backup has a format that this version does not know, with the remedy. */
export function newerFormat(what: string, format: number, newest = NEWEST_FORMAT): string {
  return (
    `${what} has format ${format}, and this version of Latchkey reads ${newest === 1 ? 'format 1' : `formats 1 to ${newest}`} only. ` +
    'Use the version that upgraded the store, or a newer one'
  );
}

/** Reads the mark of a store. */
export async function formatsOf(records: Pick<Store, 'get'>): Promise<Formats> {
  return inOrder((await records.get(formatKey))?.value ?? UNMARKED);
}

/** Raises a part of the mark, with the parts that may not be lower, and lowers none. */
export async function raiseFormat(records: Store, part: keyof Formats, format: number): Promise<void> {
  const raised = (now: Formats): Formats => inOrder({ ...now, [part]: Math.max(now[part], format) });
  await upsert(records, formatKey, await records.get(formatKey), { first: raised(UNMARKED), change: raised });
}

/** Raises the parts of a mark that are too low, in case an older mark came back when a replica took over. */
function inOrder({ oldest, writes, reads }: Formats): Formats {
  return { oldest, writes: Math.max(oldest, writes), reads: Math.max(oldest, writes, reads) };
}
