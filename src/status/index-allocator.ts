import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { keyspace, type Counter, type Key, type Store } from '../storage/store.ts';
import { writeList } from './bit-store.ts';
import { CAPACITY, LEEWAY, lifeOf, listKey, listNamed, newList, type StatusList } from './lists.ts';

/** The list from which all nodes take indexes now. */
interface OpenList {
  list: string;
  /** Time at which the list closes, in milliseconds since the epoch. */
  closesAt: number;
}

const openListKey: Key<OpenList> = keyspace<OpenList>('open-status-list')('main');

/** Counts the blocks of indexes that were taken from a list. */
const blocksOf = (list: string): Counter => `status-blocks:${list}`;

/** Number of indexes that a node takes at a time. */
const BLOCK = 1024;
/** Number of remaining indexes below which the node fetches the next block, so that tokens rarely wait for it. */
const FETCH_BELOW = 256;

interface IndexAllocatorDependencies {
  grants: Store;
  clock: Clock;
  random: Random;
  /** The longest access token lifetime, in seconds. */
  longest: number;
  /** Time for which a list is open, in seconds. */
  openFor: number;
  /** Number of indexes in a list. */
  capacity?: number;
}

interface Block {
  list: StatusList;
  closesAt: number;
  /** Shuffled, so that an index does not reveal the time at which its token was issued. */
  indexes: number[];
}

export interface AllocatedIndex {
  list: StatusList;
  idx: number;
}

/** Allocates status indexes. No two tokens get the same index, even on different nodes. */
export class IndexAllocator {
  readonly #dependencies: IndexAllocatorDependencies;
  readonly #highest = new Map<string, number>();
  #now: Block | undefined;
  #next: Block | undefined;
  #fetching: Promise<void> | undefined;

  constructor(dependencies: IndexAllocatorDependencies) {
    this.#dependencies = dependencies;
  }

  /** Allocates an index. @param expiresAt expiry of the token, in milliseconds since the epoch */
  async take(expiresAt: number): Promise<AllocatedIndex> {
    for (;;) {
      const taken = this.takeFromHeldBlock(expiresAt);
      if (taken !== undefined) return taken;
      await this.#fetch(expiresAt);
    }
  }

  /** Fast path: takes an index from the block that this node already holds. */
  takeFromHeldBlock(expiresAt: number): AllocatedIndex | undefined {
    const block = this.#usableBlock(expiresAt);
    const idx = block?.indexes.pop();
    return block === undefined || idx === undefined ? undefined : { list: block.list, idx };
  }

  /** Stops allocating from a list on every node, because the store may have forgotten which indexes were allocated. */
  async abandon({ id }: StatusList): Promise<void> {
    for (const block of [this.#now, this.#next]) if (block?.list.id === id) block.indexes.length = 0;
    const { grants } = this.#dependencies;
    const open = await grants.get(openListKey);
    if (open?.value.list === id) await this.#open(open.version);
  }

  #usableBlock(expiresAt: number): Block | undefined {
    const has = (block: Block | undefined): block is Block =>
      block !== undefined && block.indexes.length > 0 && this.#fits(block, expiresAt);
    if (!has(this.#now)) {
      this.#now = this.#next;
      this.#next = undefined;
    }
    const now = this.#now;
    if (!has(now)) return undefined;
    // If this fetch fails, the caller that finds no index left fetches again and gets the error.
    if (now.indexes.length < FETCH_BELOW && this.#next === undefined) this.#fetch(expiresAt).catch(() => undefined);
    return now;
  }

  #fits({ list, closesAt }: Pick<Block, 'list' | 'closesAt'>, expiresAt: number): boolean {
    return this.#dependencies.clock.now() < closesAt && expiresAt + LEEWAY <= list.endsAt;
  }

  /** Fetches one block, however many callers wait for it. */
  async #fetch(expiresAt: number): Promise<void> {
    this.#fetching ??= this.#takeBlock(expiresAt)
      .then((block) => void (this.#next = block))
      .finally(() => (this.#fetching = undefined));
    await this.#fetching;
  }

  async #takeBlock(expiresAt: number): Promise<Block> {
    const { grants, clock, capacity = CAPACITY } = this.#dependencies;
    for (;;) {
      const open = await grants.get(openListKey);
      const list = open && listNamed(open.value.list);
      const closesAt = open?.value.closesAt ?? 0;
      if (list !== undefined && this.#fits({ list, closesAt }, expiresAt)) {
        const number = await grants.increment(blocksOf(list.id), 1, lifeOf(list, clock));
        const isNew = number > (this.#highest.get(list.id) ?? 0);
        if (isNew && number * BLOCK <= capacity) {
          this.#remember(list, number);
          return { list, closesAt, indexes: this.#shuffled((number - 1) * BLOCK) };
        }
      }
      await this.#open(open?.version, expiresAt);
    }
  }

  /** Opens a new list, unless another node has opened one since this version was read. */
  async #open(version: number | undefined, expiresAt = 0): Promise<void> {
    const { grants, clock, random, longest, openFor } = this.#dependencies;
    const closesAt = clock.now() + openFor * 1000;
    const list = newList(Math.max(closesAt + longest * 1000, expiresAt) + LEEWAY, random);
    // The list must exist before a token can name it.
    await writeList(this.#dependencies, list, false);
    const options = { ttl: openFor };
    const value = { list: list.id, closesAt };
    const won =
      version === undefined
        ? await grants.create(openListKey, value, options)
        : await grants.replace(openListKey, value, version, options);
    if (!won) await grants.delete(listKey(list.id));
  }

  #remember(list: StatusList, number: number): void {
    for (const id of this.#highest.keys()) if (id !== list.id) this.#highest.delete(id);
    this.#highest.set(list.id, number);
  }

  /** Shuffles the indexes of a block (Fisher–Yates). Four bytes for each draw make the bias negligible. */
  #shuffled(start: number): number[] {
    const indexes = Array.from({ length: BLOCK }, (_, at) => start + at);
    const draws = this.#dependencies.random.bytes(BLOCK * 4);
    for (let at = BLOCK - 1; at > 0; at -= 1) {
      const other = draws.readUInt32LE(at * 4) % (at + 1);
      [indexes[at], indexes[other]] = [indexes[other] ?? 0, indexes[at] ?? 0];
    }
    return indexes;
  }
}
