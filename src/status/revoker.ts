import type { Clock } from '../lib/clock.ts';
import { forEachAtOnce } from '../storage/at-once.ts';
import { everyMember } from '../storage/every-member.ts';
import type { Index, Key, Store } from '../storage/store.ts';
import { bitsOf, isWhole, LISTS_CHANGED, markBits, writeList } from './bit-store.ts';
import { isSet, setBit, wholeList } from './bits.ts';
import { isAccessToken, parseIssued, type Issued } from './ledger.ts';
import { CAPACITY, isLive, listKey, listNamed, listUris, type Place, type StatusList } from './lists.ts';

/** Takes up bits that are set in the store. */
export type Learn = (list: StatusList, indexes: readonly number[]) => Promise<void>;

export interface RevokerParts {
  grants: Store;
  clock: Clock;
  issuer: string;
  /** The lists of a running server, which know at once. */
  learn?: Learn;
}

export interface Which {
  /** Only what requests that began before this instant have led to, in milliseconds since the epoch. */
  startedBefore?: number | undefined;
  /** Only access tokens, not what gives more of them. */
  accessOnly?: boolean;
}

/** Takes tokens back, by the store alone. */
export interface Revoker {
  /**
   * Takes back what indexes name: sets the bits of JWTs, deletes the records of the rest. It may be done again.
   * @returns how many JWTs were taken back anew
   * @throws StoreUnavailable: what was done stays done
   */
  revokeMembers(indexes: readonly Index<unknown>[], which?: Which): Promise<number>;
  /** A place that is no longer, or never was, is none to take back. */
  revokeToken(place: Place): Promise<void>;
  /** Reads a token's status from the store, not from memory. A token of an unknown list counts as revoked. */
  isRevoked(place: Place): Promise<boolean>;
}

/** Start of the request that a record belongs to. A record without it counts as older than any instant. */
interface Dated {
  startedAt?: number;
}

export function revoker(parts: RevokerParts): Revoker {
  const { grants, clock, issuer } = parts;
  const uris = listUris(issuer);
  return {
    revokeMembers: (indexes, which) => revokeMembers(parts, indexes, which),
    async revokeToken(place) {
      const found = uris.placeIn(place);
      if (found === undefined) return;
      const walk = new Walk(parts);
      await walk.take([{ list: found.list.id, idx: found.idx, startedAt: 0 }]);
      await walk.end();
    },
    async isRevoked(place) {
      const found = uris.placeIn(place);
      if (found === undefined || !isLive(found.list, clock)) return true;
      const { id } = found.list;
      const [record, bits] = await Promise.all([grants.get(listKey(id)), grants.readBits(bitsOf(id))]);
      return !isWhole(record?.value, bits) || isSet(bits, found.idx);
    },
  };
}

async function revokeMembers(
  parts: Omit<RevokerParts, 'issuer'>,
  indexes: readonly Index<unknown>[],
  { startedBefore = Infinity, accessOnly = false }: Which = {},
): Promise<number> {
  const walk = new Walk(parts);
  await forEachAtOnce(indexes, async (index) => {
    for await (const members of everyMember(parts.grants, index, 1000)) {
      const issued = members.flatMap((member) => parseIssued(member) ?? []);
      const records = members.filter(
        (member) => parseIssued(member) === undefined && (!accessOnly || isAccessToken(member)),
      );
      await Promise.all([
        walk.take(issued.filter(({ startedAt }) => startedAt < startedBefore)),
        deleteRecords(parts.grants, records, startedBefore),
      ]);
    }
  });
  return walk.end();
}

interface Walked {
  list: StatusList;
  bits: Promise<Uint8Array>;
  moved: boolean;
  /** Still to be written, and the write that takes them along. */
  fresh: number[];
  marking?: Promise<void> | undefined;
}

/** One walk over indexes: each list is read once, and only new bits are written. */
class Walk {
  readonly #parts: Omit<RevokerParts, 'issuer'>;
  readonly #lists = new Map<string, Walked>();
  #count = 0;

  constructor(parts: Omit<RevokerParts, 'issuer'>) {
    this.#parts = parts;
  }

  async take(issued: readonly Issued[]): Promise<void> {
    await Promise.all([...Map.groupBy(issued, ({ list }) => list)].map(([id, of]) => this.#takeOf(id, of)));
  }

  /** Tells the nodes. @returns how many were taken back */
  async end(): Promise<number> {
    const lists = [...this.#lists.values()];
    // An earlier caller that set these bits may have died before writing the record.
    const unmoved = lists.filter(({ moved }) => !moved);
    await Promise.all(unmoved.map(({ list }) => writeList(this.#parts, list, true)));
    // A hint that is lost is made good by the next look of each node.
    if (lists.length > 0) this.#parts.grants.publish(LISTS_CHANGED, '').catch(() => undefined);
    return this.#count;
  }

  async #takeOf(id: string, issued: readonly Issued[]): Promise<void> {
    const list = listNamed(id);
    if (list === undefined || !isLive(list, this.#parts.clock)) return;
    const known = this.#lists.get(id) ?? { list, bits: this.#bitsOf(id), moved: false, fresh: [] };
    this.#lists.set(id, known);
    const bits = await known.bits;
    const indexes = [...new Set(issued.map(({ idx }) => idx))].filter((idx) => idx < CAPACITY);
    const fresh = indexes.filter((idx) => !isSet(bits, idx));
    for (const idx of fresh) setBit(bits, idx);
    known.fresh.push(...fresh);
    this.#count += fresh.length;
    // Those of other indexes that come at the same time are written with them.
    if (fresh.length > 0) known.marking ??= Promise.resolve().then(() => this.#mark(known));
    await known.marking;
    await this.#parts.learn?.(list, indexes);
  }

  async #mark(known: Walked): Promise<void> {
    const all = known.fresh.splice(0);
    known.marking = undefined;
    await markBits(this.#parts, known.list, all);
    known.moved = true;
  }

  async #bitsOf(id: string): Promise<Uint8Array> {
    return wholeList(await this.#parts.grants.readBits(bitsOf(id)));
  }
}

async function deleteRecords(grants: Store, keys: readonly Key<unknown>[], startedBefore: number): Promise<void> {
  const all = startedBefore === Infinity;
  const dated = keys as readonly Key<Dated>[];
  const found = all ? [] : await grants.getMany(dated);
  const due = keys.filter((_key, at) => all || (found[at]?.value.startedAt ?? 0) < startedBefore);
  await Promise.all(due.map((key) => grants.delete(key)));
}
