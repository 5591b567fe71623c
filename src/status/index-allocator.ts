import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { keyspace, type Counter, type Key, type Store } from '../storage/store.ts';
import { writeList } from './bit-store.ts';
import { CAPACITY, LEEWAY, lifeOf, listKey, listNamed, newList, type StatusList } from './lists.ts';

/** The list in which all nodes give places now. */
interface OpenList {
  list: string;
  /** In milliseconds since the epoch. */
  closesAt: number;
}

const openListKey: Key<OpenList> = keyspace<OpenList>('open-status-list')('main');

/** Counts the blocks of places that were taken of a list. */
const blocksOf = (list: string): Counter => `status-blocks:${list}`;

/** Indexes that a node takes at a time. */
const BLOCK = 1024;
/** With so few left it takes the next ones, so that hardly a token has to wait for them. */
const LOW = 256;

export interface PlacesParts {
  grants: Store;
  clock: Clock;
  random: Random;
  /** The life of the longest access token, in seconds. */
  longest: number;
  /** For how long a list is open, in seconds. */
  openFor: number;
  /** Number of indexes in a list. */
  capacity?: number;
}

interface Block {
  list: StatusList;
  closesAt: number;
  /** In no order that anybody could know. */
  indexes: number[];
}

export interface Taken {
  list: StatusList;
  idx: number;
}

/** Gives tokens their places: no two of any nodes the same one. */
export class Places {
  readonly #parts: PlacesParts;
  readonly #highest = new Map<string, number>();
  #now: Block | undefined;
  #next: Block | undefined;
  #fetching: Promise<void> | undefined;

  constructor(parts: PlacesParts) {
    this.#parts = parts;
  }

  /** @param expiresAt the token's, in milliseconds since the epoch */
  async take(expiresAt: number): Promise<Taken> {
    for (;;) {
      const taken = this.takeAtHand(expiresAt);
      if (taken !== undefined) return taken;
      await this.#fetch(expiresAt);
    }
  }

  /** As nearly always there is one: one of those that this node has. */
  takeAtHand(expiresAt: number): Taken | undefined {
    const block = this.#fitting(expiresAt);
    const idx = block?.indexes.pop();
    return block === undefined || idx === undefined ? undefined : { list: block.list, idx };
  }

  /** Gives no more places of a list, here or elsewhere: the store may have forgotten which ones were given. */
  async abandon({ id }: StatusList): Promise<void> {
    for (const block of [this.#now, this.#next]) if (block?.list.id === id) block.indexes.length = 0;
    const { grants } = this.#parts;
    const open = await grants.get(openListKey);
    if (open?.value.list === id) await this.#open(open.version);
  }

  #fitting(expiresAt: number): Block | undefined {
    const has = (block: Block | undefined): block is Block =>
      block !== undefined && block.indexes.length > 0 && this.#fits(block, expiresAt);
    if (!has(this.#now)) {
      this.#now = this.#next;
      this.#next = undefined;
    }
    const now = this.#now;
    if (!has(now)) return undefined;
    // Should it fail, who finds no place left tries again and says so.
    if (now.indexes.length < LOW && this.#next === undefined) this.#fetch(expiresAt).catch(() => undefined);
    return now;
  }

  #fits({ list, closesAt }: Pick<Block, 'list' | 'closesAt'>, expiresAt: number): boolean {
    return this.#parts.clock.now() < closesAt && expiresAt + LEEWAY <= list.endsAt;
  }

  /** Of many who wait, one asks. */
  async #fetch(expiresAt: number): Promise<void> {
    this.#fetching ??= this.#takeBlock(expiresAt)
      .then((block) => void (this.#next = block))
      .finally(() => (this.#fetching = undefined));
    await this.#fetching;
  }

  async #takeBlock(expiresAt: number): Promise<Block> {
    const { grants, clock, capacity = CAPACITY } = this.#parts;
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

  /** Opens a list in place of the one of this version. Of several nodes that do so at once, one wins. */
  async #open(version: number | undefined, expiresAt = 0): Promise<void> {
    const { grants, clock, random, longest, openFor } = this.#parts;
    const closesAt = clock.now() + openFor * 1000;
    const list = newList(Math.max(closesAt + longest * 1000, expiresAt) + LEEWAY, random);
    // It has to be there before a token can name it.
    await writeList(this.#parts, list, false);
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

  /** Fisher–Yates. Four bytes for each draw leave no bias that could be seen. */
  #shuffled(start: number): number[] {
    const indexes = Array.from({ length: BLOCK }, (_, at) => start + at);
    const draws = this.#parts.random.bytes(BLOCK * 4);
    for (let at = BLOCK - 1; at > 0; at -= 1) {
      const other = draws.readUInt32LE(at * 4) % (at + 1);
      [indexes[at], indexes[other]] = [indexes[other] ?? 0, indexes[at] ?? 0];
    }
    return indexes;
  }
}
