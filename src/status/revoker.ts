import type { Clock } from '../lib/clock.ts';
import { everyMember } from '../storage/every-member.ts';
import type { Index, Key, Store } from '../storage/store.ts';
import { bitsOf, isWhole, LISTS_CHANGED, markBits, writeList } from './bit-store.ts';
import { isSet, setBit, wholeList } from './bits.ts';
import { isAccessToken, parseIssued, type Issued } from './ledger.ts';
import { CAPACITY, isLive, listKey, listNamed, listUris, type Place, type StatusList } from './lists.ts';

export interface RevokerParts {
  grants: Store;
  clock: Clock;
  issuer: string;
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
   * Takes back what an index names: sets the bits of JWTs, deletes the records of the rest. It may be done again.
   * @returns how many JWTs were taken back anew
   * @throws StoreUnavailable: what was done stays done
   */
  revokeMembers(index: Index<unknown>, which?: Which): Promise<number>;
  /** A place that is no longer, or never was, is none to take back. */
  revokeToken(place: Place): Promise<void>;
  /** What the store says, not memory. A place in an unknown list counts as taken back. */
  isRevoked(place: Place): Promise<boolean>;
}

/** What of a record says when the request for it began; those that do not say count as from before any instant. */
interface Dated {
  startedAt?: number;
}

export function revoker(parts: RevokerParts): Revoker {
  const { grants, clock, issuer } = parts;
  const uris = listUris(issuer);
  return {
    revokeMembers: (index, which) => revokeMembers(parts, index, which),
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
  index: Index<unknown>,
  { startedBefore = Infinity, accessOnly = false }: Which = {},
): Promise<number> {
  const walk = new Walk(parts);
  for await (const members of everyMember(parts.grants, index, 1000)) {
    const issued = members.flatMap((member) => parseIssued(member) ?? []);
    await walk.take(issued.filter(({ startedAt }) => startedAt < startedBefore));
    const records = members.filter(
      (member) => parseIssued(member) === undefined && (!accessOnly || isAccessToken(member)),
    );
    await deleteRecords(parts.grants, records, startedBefore);
  }
  return walk.end();
}

/** One walk over an index: each list is read once, and only new bits are written. */
class Walk {
  readonly #parts: Omit<RevokerParts, 'issuer'>;
  readonly #lists = new Map<string, { list: StatusList; bits: Uint8Array; moved: boolean }>();
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
    // Who set these bits before may have come no further.
    const unmoved = lists.filter(({ moved }) => !moved);
    await Promise.all(unmoved.map(({ list }) => writeList(this.#parts, list, true)));
    // A hint that is lost is made good by the next look of each node.
    if (lists.length > 0) await this.#parts.grants.publish(LISTS_CHANGED, '').catch(() => undefined);
    return this.#count;
  }

  async #takeOf(id: string, issued: readonly Issued[]): Promise<void> {
    const list = listNamed(id);
    if (list === undefined || !isLive(list, this.#parts.clock)) return;
    const known = this.#lists.get(id) ?? { list, bits: await this.#bitsOf(id), moved: false };
    this.#lists.set(id, known);
    const indexes = new Set(issued.map(({ idx }) => idx));
    const fresh = [...indexes].filter((idx) => idx < CAPACITY && !isSet(known.bits, idx));
    if (fresh.length === 0) return;
    await markBits(this.#parts, list, fresh);
    for (const idx of fresh) setBit(known.bits, idx);
    this.#count += fresh.length;
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
