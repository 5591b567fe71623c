import type { Clock } from '../lib/clock.ts';
import { forEachConcurrently, everyMember } from '../storage/every-member.ts';
import type { Index, Key, Store } from '../storage/store.ts';
import { bitsOf, isWhole, LISTS_CHANGED, markBits, writeList, isSet, setBit, wholeList } from './bit-store.ts';
import { isAccessToken, parseIssued, type Issued } from './token-indexes.ts';
import { CAPACITY, isLive, listKey, listNamed, listUris, type StatusReference, type StatusList } from './lists.ts';

/** Adds bits that were set in the store to the lists in memory. */
export type Learn = (list: StatusList, indexes: readonly number[]) => Promise<void>;

export interface RevokerDependencies {
  grants: Store;
  clock: Clock;
  issuer: string;
  /** Adds the revocations to the lists in a running server's memory at once. */
  learn?: Learn | undefined;
}

interface RevocationFilter {
  /** Limits the revocation to tokens whose request began before this instant, in milliseconds since the epoch. */
  startedBefore?: number | undefined;
  /** Limits the revocation to access tokens, without refresh tokens and codes. */
  accessOnly?: boolean;
}

/** Revokes tokens. It needs only the store. */
export interface Revoker {
  /**
   * Revokes the members of these indexes: sets the bits of JWTs, and deletes the records of other tokens. A repeated
   * call does no harm.
   * @returns the number of JWTs that were not revoked before
   * @throws StoreUnavailable, after which some tokens may be revoked already
   */
  revokeMembers(indexes: readonly Index<unknown>[], filter?: RevocationFilter): Promise<number>;
  /** Revokes one token. An unknown or expired list is ignored. */
  revokeToken(reference: StatusReference): Promise<void>;
  /** Reads a token's status from the store, not from memory. A token of an unknown list counts as revoked. */
  isRevoked(reference: StatusReference): Promise<boolean>;
}

/** Start of the request that a record belongs to. A record without a start counts as older than any instant. */
interface WithStart {
  startedAt?: number;
}

export function revoker(dependencies: RevokerDependencies): Revoker {
  const { grants, clock, issuer } = dependencies;
  const uris = listUris(issuer);
  return {
    revokeMembers: (indexes, filter) => revokeMembers(dependencies, indexes, filter),
    async revokeToken(reference) {
      const found = uris.listOf(reference);
      if (found === undefined) return;
      const batch = new BitBatch(dependencies);
      await batch.take([{ list: found.list.id, idx: found.idx, startedAt: 0 }]);
      await batch.end();
    },
    async isRevoked(reference) {
      const found = uris.listOf(reference);
      if (found === undefined || !isLive(found.list, clock)) return true;
      const { id } = found.list;
      const [record, bits] = await Promise.all([grants.get(listKey(id)), grants.readBits(bitsOf(id))]);
      return !isWhole(record?.value, bits) || isSet(bits, found.idx);
    },
  };
}

async function revokeMembers(
  dependencies: Omit<RevokerDependencies, 'issuer'>,
  indexes: readonly Index<unknown>[],
  { startedBefore = Infinity, accessOnly = false }: RevocationFilter = {},
): Promise<number> {
  const batch = new BitBatch(dependencies);
  await forEachConcurrently(indexes, async (index) => {
    for await (const members of everyMember(dependencies.grants, index, 1000)) {
      const issued = members.flatMap((member) => parseIssued(member) ?? []);
      const records = members.filter(
        (member) => parseIssued(member) === undefined && (!accessOnly || isAccessToken(member)),
      );
      await Promise.all([
        batch.take(issued.filter(({ startedAt }) => startedAt < startedBefore)),
        deleteRecords(dependencies.grants, records, startedBefore),
      ]);
    }
  });
  return batch.end();
}

interface ListBatch {
  list: StatusList;
  bits: Promise<Uint8Array>;
  isRecordWritten: boolean;
  /** Indexes still to be written, and the write that will include them. */
  fresh: number[];
  marking?: Promise<void> | undefined;
}

/** Collects the bits to set, list by list. Each list is read once, and only new bits are written. */
class BitBatch {
  readonly #dependencies: Omit<RevokerDependencies, 'issuer'>;
  readonly #lists = new Map<string, ListBatch>();
  #count = 0;

  constructor(dependencies: Omit<RevokerDependencies, 'issuer'>) {
    this.#dependencies = dependencies;
  }

  async take(issued: readonly Issued[]): Promise<void> {
    await Promise.all([...Map.groupBy(issued, ({ list }) => list)].map(([id, of]) => this.#takeFromList(id, of)));
  }

  /** Notifies the nodes. @returns the number of newly revoked tokens */
  async end(): Promise<number> {
    const lists = [...this.#lists.values()];
    // An earlier caller that set these bits may have died before writing the record.
    const withoutRecord = lists.filter(({ isRecordWritten }) => !isRecordWritten);
    await Promise.all(withoutRecord.map(({ list }) => writeList(this.#dependencies, list, true)));
    // If the notice is lost, each node finds the change at its next look.
    if (lists.length > 0) this.#dependencies.grants.publish(LISTS_CHANGED, '').catch(() => undefined);
    return this.#count;
  }

  async #takeFromList(id: string, issued: readonly Issued[]): Promise<void> {
    const list = listNamed(id);
    if (list === undefined || !isLive(list, this.#dependencies.clock)) return;
    const known = this.#lists.get(id) ?? { list, bits: this.#bitsOf(id), isRecordWritten: false, fresh: [] };
    this.#lists.set(id, known);
    const bits = await known.bits;
    const indexes = [...new Set(issued.map(({ idx }) => idx))].filter((idx) => idx < CAPACITY);
    const fresh = indexes.filter((idx) => !isSet(bits, idx));
    for (const idx of fresh) setBit(bits, idx);
    known.fresh.push(...fresh);
    this.#count += fresh.length;
    // Bits that other calls add in the same tick are written together with these.
    if (fresh.length > 0) known.marking ??= Promise.resolve().then(() => this.#mark(known));
    await known.marking;
    await this.#dependencies.learn?.(list, indexes);
  }

  async #mark(known: ListBatch): Promise<void> {
    const all = known.fresh.splice(0);
    known.marking = undefined;
    await markBits(this.#dependencies, known.list, all);
    known.isRecordWritten = true;
  }

  async #bitsOf(id: string): Promise<Uint8Array> {
    return wholeList(await this.#dependencies.grants.readBits(bitsOf(id)));
  }
}

async function deleteRecords(grants: Store, keys: readonly Key<unknown>[], startedBefore: number): Promise<void> {
  const all = startedBefore === Infinity;
  const dated = keys as readonly Key<WithStart>[];
  const found = all ? [] : await grants.getMany(dated);
  const due = keys.filter((_key, at) => all || (found[at]?.value.startedAt ?? 0) < startedBefore);
  await Promise.all(due.map((key) => grants.delete(key)));
}
