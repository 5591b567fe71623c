import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../lib/clock.ts';
import { everyMember } from '../storage/every-member.ts';
import { idOf, StoreUnavailable, type Store, type Stored } from '../storage/store.ts';
import { bitsOf, isWhole, LISTS, LISTS_CHANGED, markBits, writeList } from './bit-store.ts';
import { isSet, setBit, setOnlyIn, wholeList } from './bits.ts';
import { isLive, listKey, listNamed, type ListRecord, type StatusList } from './lists.ts';

/** A list as this node knows it. */
export interface FollowedList extends StatusList {
  readonly bits: Buffer;
  /** Grows whenever it changes here. */
  readonly changes: number;
}

/** Period in milliseconds of asking the store for changes. */
const PERIOD = 300;
/** Shortest time between two looks in milliseconds, however many notices arrive. */
const PACE = 50;
/** Age in milliseconds at which an observation is no longer vouched for. APIs include it in their bound. */
export const BELIEVED = 1000;
/** Milliseconds after which a comparison is not called current: the node has stood still, or its store is slow. */
const CURRENT = 300;
/** Period in milliseconds of comparing all bits, also of lists whose version has not changed. */
const COMPARED = 30_000;

const NONE = new Uint8Array();

interface Followed extends FollowedList {
  changes: number;
  /** Of its record when the bits were read. */
  version: number;
  writtenAt: number | undefined;
}

export interface FollowedListsParts {
  grants: Store;
  clock: Clock;
  reportFailure: (error: unknown) => void;
  /** Told of bits that this node had not seen before. */
  onRevoked: (list: FollowedList, indexes: readonly number[]) => void;
  /** Told each time that the lists have just been compared with the store, quickly. */
  onVerified: () => void;
  /** Told of a list that the store knows less of than before. */
  onLost: (list: StatusList) => Promise<void>;
}

/**
 * The live lists in memory, as the store has them. Bits only ever grow: what memory has and the store has lost, as a Redis
 * that came back from an older copy may have, is written back.
 */
export class FollowedLists {
  readonly #parts: FollowedListsParts;
  readonly #lists = new Map<string, Followed>();
  readonly #timer: NodeJS.Timeout;
  #unsubscribe: () => Promise<void> = () => Promise.resolve();
  #verifiedAt = -Infinity;
  #comparedAt = -Infinity;
  #failed = false;
  /** The look that is under way, the pause after it, and the one that begins then. */
  #looking: Promise<void> = Promise.resolve();
  #pause: Promise<void> = Promise.resolve();
  #coming: Promise<void> | undefined;
  #isClosed = false;

  constructor(parts: FollowedListsParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#lookUnasked(), PERIOD).unref();
  }

  /** Begins with what the store has, and listens for hints. */
  async open(): Promise<void> {
    this.#unsubscribe = await this.#parts.grants.subscribe(LISTS_CHANGED, () => this.#lookUnasked());
    await this.look();
  }

  /** The lists that are alive, as of a moment ago. @throws StoreUnavailable when the store could not be asked for too long */
  async verified(): Promise<FollowedList[]> {
    await this.#verify();
    return [...this.#lists.values()].filter((list) => isLive(list, this.#parts.clock));
  }

  /** The live lists, as of this call. @throws StoreUnavailable */
  async latest(): Promise<FollowedList[]> {
    await this.look();
    return this.verified();
  }

  /** @returns `undefined` for one that is not there, or no longer. @throws StoreUnavailable as `verified` */
  async find(id: string): Promise<FollowedList | undefined> {
    const named = listNamed(id);
    if (named === undefined || !isLive(named, this.#parts.clock)) return undefined;
    await this.#verify();
    // Another node may have begun it within this second.
    if (!this.#lists.has(id)) await this.look();
    return this.#lists.get(id);
  }

  /** Asks the store anew; what it says is from after this call. Of many who ask, one does. @throws StoreUnavailable */
  look(): Promise<void> {
    this.#coming ??= this.#inTurn();
    return this.#coming;
  }

  /**
   * Takes up bits that this node has just set: a store that loses its last moments gets them back from here.
   * @throws StoreUnavailable where the list is not known here yet
   */
  async learn(list: StatusList, indexes: readonly number[]): Promise<void> {
    const known = this.#lists.get(list.id);
    if (known === undefined) return this.#readOne(list, indexes);
    const found = indexes.filter((idx) => !isSet(known.bits, idx));
    for (const idx of found) setBit(known.bits, idx);
    known.changes += found.length;
    // The next look compares the bits, whatever version it meets.
    known.version = 0;
    this.#tell(known, found);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#unsubscribe();
    await this.#looking;
  }

  async #inTurn(): Promise<void> {
    await this.#pause;
    this.#coming = undefined;
    if (this.#isClosed) return;
    const look = this.#compare().catch((error: unknown) => {
      if (!this.#failed && !this.#isClosed) this.#parts.reportFailure(error);
      this.#failed = true;
      throw error;
    });
    this.#looking = look.catch(() => undefined);
    this.#pause = this.#looking.then(() => sleep(PACE, undefined, { ref: false }));
    await look;
  }

  #lookUnasked(): void {
    this.look().catch(() => undefined);
  }

  /** A process that stood still shows as well as a store that does not answer. */
  async #verify(): Promise<void> {
    const age = this.#parts.clock.now() - this.#verifiedAt;
    if (age >= 0 && age <= BELIEVED) return;
    if (this.#failed) throw new StoreUnavailable('the status lists could not be compared with the store');
    await this.look();
  }

  async #compare(): Promise<void> {
    const { grants, clock } = this.#parts;
    const startedAt = clock.now();
    for (const list of this.#lists.values()) if (!isLive(list, clock)) this.#lists.delete(list.id);
    const lists = await this.#allLists();
    const records = await grants.getMany(lists.map(({ id }) => listKey(id)));
    const all = startedAt >= this.#comparedAt + COMPARED;
    await Promise.all(lists.map((list, at) => this.#follow(list, records[at], all)));
    if (all) this.#comparedAt = startedAt;
    this.#verifiedAt = startedAt;
    this.#failed = false;
    if (Math.abs(clock.now() - startedAt) <= CURRENT) this.#parts.onVerified();
  }

  /** Those that the store names, and those that it named before. */
  async #allLists(): Promise<StatusList[]> {
    const { grants, clock } = this.#parts;
    const ids = new Set(this.#lists.keys());
    for await (const keys of everyMember(grants, LISTS, 1000)) for (const key of keys) ids.add(idOf(key));
    return [...ids].flatMap((id) => listNamed(id) ?? []).filter((list) => isLive(list, clock));
  }

  /** Reads a list that no look has met yet, with fewer waits than a look takes. */
  async #readOne(list: StatusList, indexes: readonly number[]): Promise<void> {
    const { grants } = this.#parts;
    const [record, stored] = await Promise.all([grants.get(listKey(list.id)), grants.readBits(bitsOf(list.id))]);
    // Another caller or a look that met it meanwhile may have read it before these bits were set.
    if (this.#lists.has(list.id)) return this.learn(list, indexes);
    if (!this.#begin(list, record, stored)) await this.look();
  }

  /** Begins to follow a list. @returns whether the store has it whole */
  #begin(list: StatusList, record: Stored<ListRecord> | undefined, stored: Uint8Array): boolean {
    if (record === undefined || !isWhole(record.value, stored)) return false;
    const { version, value } = record;
    const found = { ...list, bits: wholeList(stored), changes: 0, version, writtenAt: value.writtenAt };
    this.#lists.set(list.id, found);
    // Somebody who listens here may have it from another node, from before.
    this.#tell(found, setOnlyIn(found.bits, NONE));
    return true;
  }

  async #follow(list: StatusList, record: Stored<ListRecord> | undefined, isCompared: boolean): Promise<void> {
    const known = this.#lists.get(list.id);
    if (record !== undefined && isSame(record, known) && !isCompared) return;
    const stored = await this.#parts.grants.readBits(bitsOf(list.id));
    if (known === undefined) this.#begin(list, record, stored);
    else await this.#merge(known, record, wholeList(stored));
  }

  async #merge(known: Followed, record: Stored<ListRecord> | undefined, stored: Buffer): Promise<void> {
    const { onLost } = this.#parts;
    const lost = setOnlyIn(known.bits, stored);
    const found = setOnlyIn(stored, known.bits);
    for (const idx of found) setBit(known.bits, idx);
    known.changes += found.length;
    this.#tell(known, found);
    const wentBack = record === undefined || record.version < known.version;
    if (lost.length > 0) await markBits(this.#parts, known, lost);
    else if (record === undefined) await writeList(this.#parts, known, setOnlyIn(known.bits, NONE).length > 0);
    if (wentBack || lost.length > 0) await onLost(known);
    known.version = record?.version ?? 0;
    known.writtenAt = record?.value.writtenAt;
  }

  #tell(list: FollowedList, found: readonly number[]): void {
    if (found.length > 0) this.#parts.onRevoked(list, found);
  }
}

function isSame({ version, value }: Stored<ListRecord>, known: Followed | undefined): boolean {
  return version === known?.version && value.writtenAt === known.writtenAt;
}
