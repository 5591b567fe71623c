import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../lib/clock.ts';
import { everyMember } from '../storage/every-member.ts';
import { idOf, StoreUnavailable, type Store, type Stored } from '../storage/store.ts';
import {
  bitsOf,
  isWhole,
  LISTS,
  LISTS_CHANGED,
  markBits,
  writeList,
  isSet,
  setBit,
  setOnlyIn,
  wholeList,
} from './bit-store.ts';
import { isLive, listKey, listNamed, type ListRecord, type StatusList } from './lists.ts';

/** A list in this node's memory. */
export interface FollowedList extends StatusList {
  readonly bits: Buffer;
  /** Number of bits that were added on this node since it first read the list. */
  readonly changes: number;
}

/** Milliseconds between two looks at the store for changes. */
const PERIOD = 300;
/** Shortest time between two looks in milliseconds, however many notices arrive. */
const MIN_PAUSE = 50;
/**
 * Longest age in milliseconds of the comparison with the store by which lists are served. It is subtracted from their
 * `ttl`.
 */
export const MAX_COMPARISON_AGE = 1000;
/**
 * Longest comparison that counts as current, in milliseconds. A longer one means that the node stalled or the store is
 * slow.
 */
const QUICK_COMPARISON = 300;
/** Milliseconds between two comparisons of all bits, including those of lists whose version has not changed. */
const FULL_COMPARISON_PERIOD = 30_000;

const NO_BITS = new Uint8Array();

interface Followed extends FollowedList {
  changes: number;
  /** Version of the list's record when its bits were read; 0 to read them at the next look. */
  version: number;
  writtenAt: number | undefined;
}

interface FollowedListsDependencies {
  grants: Store;
  clock: Clock;
  reportFailure: (error: unknown) => void;
  /** Called with bits that are new to this node. */
  onRevoked: (list: FollowedList, indexes: readonly number[]) => void;
  /** Called after each quick comparison of all lists with the store. */
  onVerified: () => void;
  /** Called for a list whose record or bits the store has lost. */
  onLost: (list: StatusList) => Promise<void>;
}

/**
 * Keeps the live lists in memory, and compares them with the store. Bits are only ever added. Bits that the store has
 * lost, for example because Redis was restored from an older copy, are written back from memory.
 */
export class FollowedLists {
  readonly #dependencies: FollowedListsDependencies;
  readonly #lists = new Map<string, Followed>();
  readonly #timer: NodeJS.Timeout;
  #unsubscribe: () => Promise<void> = () => Promise.resolve();
  #verifiedAt = -Infinity;
  #comparedAt = -Infinity;
  #failed = false;
  /** The current look at the store, the pause after it, and the next look. */
  #currentLook: Promise<void> = Promise.resolve();
  #pause: Promise<void> = Promise.resolve();
  #nextLook: Promise<void> | undefined;
  #isClosed = false;

  constructor(dependencies: FollowedListsDependencies) {
    this.#dependencies = dependencies;
    this.#timer = setInterval(() => this.#lookInBackground(), PERIOD).unref();
  }

  /**
   * Reads the lists from the store and subscribes to notices. If that fails, the lists are closed.
   * @throws StoreUnavailable
   */
  async open(): Promise<void> {
    try {
      this.#unsubscribe = await this.#dependencies.grants.subscribe(LISTS_CHANGED, () => this.#lookInBackground());
      await this.look();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Returns the live lists, as the store had them a moment ago.
   * @throws StoreUnavailable if the last comparison is too old
   */
  async verified(): Promise<FollowedList[]> {
    await this.#verify();
    return [...this.#lists.values()].filter((list) => isLive(list, this.#dependencies.clock));
  }

  /** Returns the live lists, as the store has them now. @throws StoreUnavailable */
  async latest(): Promise<FollowedList[]> {
    await this.look();
    return this.verified();
  }

  /**
   * Finds a live list.
   * @returns `undefined` for an unknown or expired list
   * @throws StoreUnavailable as `verified`
   */
  async find(id: string): Promise<FollowedList | undefined> {
    const named = listNamed(id);
    if (named === undefined || !isLive(named, this.#dependencies.clock)) return undefined;
    await this.#verify();
    // Another node may have created the list since the last comparison.
    if (!this.#lists.has(id)) await this.look();
    return this.#lists.get(id);
  }

  /**
   * Reads the store again. The read begins after this call, and concurrent callers share it. @throws StoreUnavailable
   */
  look(): Promise<void> {
    this.#nextLook ??= this.#lookAfterPause();
    return this.#nextLook;
  }

  /**
   * Adds bits that this node has just set. If the store loses its latest writes, the bits are written back from memory.
   * @throws StoreUnavailable if this node does not know the list yet and cannot read it
   */
  async learn(list: StatusList, indexes: readonly number[]): Promise<void> {
    const known = this.#lists.get(list.id);
    if (known === undefined) return this.#readOne(list, indexes);
    const found = indexes.filter((idx) => !isSet(known.bits, idx));
    for (const idx of found) setBit(known.bits, idx);
    known.changes += found.length;
    // Makes the next look compare the bits, even if the version has not changed.
    known.version = 0;
    this.#reportRevoked(known, found);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#unsubscribe();
    await this.#currentLook;
  }

  async #lookAfterPause(): Promise<void> {
    await this.#pause;
    this.#nextLook = undefined;
    if (this.#isClosed) return;
    const look = this.#compare().catch((error: unknown) => {
      if (!this.#failed && !this.#isClosed) this.#dependencies.reportFailure(error);
      this.#failed = true;
      throw error;
    });
    this.#currentLook = look.catch(() => undefined);
    this.#pause = this.#currentLook.then(() => sleep(MIN_PAUSE, undefined, { ref: false }));
    await look;
  }

  #lookInBackground(): void {
    this.look().catch(() => undefined);
  }

  /**
   * Looks at the store again, or throws, if the last comparison is too old. That detects a stalled process as well as a
   * store that does not answer.
   */
  async #verify(): Promise<void> {
    const age = this.#dependencies.clock.now() - this.#verifiedAt;
    if (age >= 0 && age <= MAX_COMPARISON_AGE) return;
    if (this.#failed) throw new StoreUnavailable('the status lists could not be compared with the store');
    await this.look();
  }

  async #compare(): Promise<void> {
    const { grants, clock } = this.#dependencies;
    const startedAt = clock.now();
    for (const list of this.#lists.values()) if (!isLive(list, clock)) this.#lists.delete(list.id);
    const lists = await this.#allLists();
    const records = await grants.getMany(lists.map(({ id }) => listKey(id)));
    const all = startedAt >= this.#comparedAt + FULL_COMPARISON_PERIOD;
    await Promise.all(lists.map((list, at) => this.#follow(list, records[at], all)));
    if (all) this.#comparedAt = startedAt;
    this.#verifiedAt = startedAt;
    this.#failed = false;
    if (Math.abs(clock.now() - startedAt) <= QUICK_COMPARISON) this.#dependencies.onVerified();
  }

  /** Returns the lists that the store names now, and those that it named before. */
  async #allLists(): Promise<StatusList[]> {
    const { grants, clock } = this.#dependencies;
    const ids = new Set(this.#lists.keys());
    for await (const keys of everyMember(grants, LISTS, 1000)) for (const key of keys) ids.add(idOf(key));
    return [...ids].flatMap((id) => listNamed(id) ?? []).filter((list) => isLive(list, clock));
  }

  /** Reads a list that this node does not know yet, in fewer round trips than a whole look. */
  async #readOne(list: StatusList, indexes: readonly number[]): Promise<void> {
    const { grants } = this.#dependencies;
    const [record, stored] = await Promise.all([grants.get(listKey(list.id)), grants.readBits(bitsOf(list.id))]);
    if (!this.#lists.has(list.id) && !this.#startFollowing(list, record, stored)) await this.look();
    // The list may have been read before these bits were set, or after the store had lost them.
    if (this.#lists.has(list.id)) await this.learn(list, indexes);
  }

  /** Starts to follow a list. @returns whether the store has all of its bits */
  #startFollowing(list: StatusList, record: Stored<ListRecord> | undefined, stored: Uint8Array): boolean {
    if (record === undefined || !isWhole(record.value, stored)) return false;
    const { version, value } = record;
    const found = { ...list, bits: wholeList(stored), changes: 0, version, writtenAt: value.writtenAt };
    this.#lists.set(list.id, found);
    // An API that listens to this node may have an older copy from another node.
    this.#reportRevoked(found, setOnlyIn(found.bits, NO_BITS));
    return true;
  }

  async #follow(list: StatusList, record: Stored<ListRecord> | undefined, isCompared: boolean): Promise<void> {
    const known = this.#lists.get(list.id);
    if (record !== undefined && isSame(record, known) && !isCompared) return;
    const stored = await this.#dependencies.grants.readBits(bitsOf(list.id));
    if (known === undefined) this.#startFollowing(list, record, stored);
    else await this.#merge(known, record, wholeList(stored));
  }

  async #merge(known: Followed, record: Stored<ListRecord> | undefined, stored: Buffer): Promise<void> {
    const { onLost } = this.#dependencies;
    const lost = setOnlyIn(known.bits, stored);
    const found = setOnlyIn(stored, known.bits);
    for (const idx of found) setBit(known.bits, idx);
    known.changes += found.length;
    this.#reportRevoked(known, found);
    const hasOlderVersion = record === undefined || record.version < known.version;
    if (lost.length > 0) await markBits(this.#dependencies, known, lost);
    else if (record === undefined)
      await writeList(this.#dependencies, known, setOnlyIn(known.bits, NO_BITS).length > 0);
    if (hasOlderVersion || lost.length > 0) await onLost(known);
    // A store that has lost bits may lose them again, so the next look compares them once more.
    known.version = lost.length > 0 ? 0 : (record?.version ?? 0);
    known.writtenAt = record?.value.writtenAt;
  }

  #reportRevoked(list: FollowedList, found: readonly number[]): void {
    if (found.length > 0) this.#dependencies.onRevoked(list, found);
  }
}

function isSame({ version, value }: Stored<ListRecord>, known: Followed | undefined): boolean {
  return version === known?.version && value.writtenAt === known.writtenAt;
}
