import { isDeepStrictEqual } from 'node:util';
import type { AccountId } from '../lib/ids.ts';
import type { Formats } from '../storage/format.ts';
import { forEachConcurrently } from '../storage/every-member.ts';
import { type Index, type Store, type Stored, StoreUnavailable } from '../storage/store.ts';
import { update } from '../storage/update.ts';
import type { Account } from './account.ts';
import { type AccountKeys, SEALED } from './account-keys.ts';
import { accountKey, AddressClaims, isOlder } from './address-claims.ts';
import { AccountUnreadable, type ClearMembers, isSealed, type StoredAccount } from './sealing.ts';

/** An account as it was read: opened, erased, or unreadable. */
export interface ReadAccount {
  id: AccountId;
  stored: Stored<StoredAccount>;
  /** Absent if the person is erased or the account cannot be opened. */
  account?: Account;
  unreadable?: AccountUnreadable;
}

/** The number of times that an account is written while the format of the store, or the account itself, changes. */
const ATTEMPTS = 20;

const everyAccount: Index<StoredAccount> = 'accounts';

/** Reads and writes accounts in the form that the store's format prescribes. */
export class AccountRecords {
  readonly #store: Store;
  readonly #keys: AccountKeys;
  readonly #claims: AddressClaims;

  constructor(store: Store, keys: AccountKeys) {
    this.#store = store;
    this.#keys = keys;
    this.#claims = new AddressClaims(store, keys);
  }

  async find(id: string): Promise<Account | undefined> {
    const [read] = await this.read([id]);
    if (read?.unreadable !== undefined) throw read.unreadable;
    return read?.account;
  }

  /** Reads accounts in the order of their ids, and leaves out those that do not exist. */
  async read(ids: readonly string[]): Promise<ReadAccount[]> {
    const missing = await this.#keys.missing(ids);
    const found = await this.#store.getMany<StoredAccount | { wrapped: string }>([
      ...ids.map((id) => accountKey(id)),
      ...missing.map(({ key }) => key),
    ]);
    const wrapped = new Map(missing.map(({ id }, at) => [id, found[ids.length + at]?.value as { wrapped: string }]));
    const accounts = await Promise.all(
      ids.map(async (id, at): Promise<ReadAccount | undefined> => {
        const stored = found[at] as Stored<StoredAccount> | undefined;
        return stored && { id: id as AccountId, stored, ...(await this.#opened(id, stored.value, wrapped.get(id))) };
      }),
    );
    return accounts.filter((account) => account !== undefined);
  }

  /** Finds the account that an address leads to, in every form that the store may have. @param email normalised */
  async findByEmail(email: string): Promise<Account | undefined> {
    const [owner] = await this.ownerOf(email);
    if (owner?.unreadable !== undefined) throw owner.unreadable;
    return owner?.account;
  }

  /**
   * Reads the account that an address leads to. It makes as many reads for an unknown address, so that their number does
   * not reveal known addresses. If a sign-up during an upgrade has left a second claim, the older account has the address.
   */
  async ownerOf(email: string): Promise<ReadAccount[]> {
    const holders = await this.#claims.holders(email);
    const read = await this.read(holders.length === 0 ? ['none'] : holders);
    const [oldest] = read.toSorted((one, other) => (isOlder(one.stored.value, other.stored.value) ? -1 : 1));
    return (oldest === undefined ? [] : [oldest]).map((owner) => {
      if (owner.account === undefined || owner.account.email === email) return owner;
      const unreadable = new AccountUnreadable(owner.id, 'another address leads to it, so the store was altered');
      return { id: owner.id, stored: owner.stored, unreadable };
    });
  }

  /** Returns one page of the ids of all accounts, also of those that no address leads to. */
  async ids(page?: { after?: string; limit?: number }): Promise<{ ids: AccountId[]; next?: string }> {
    const { keys, next } = await this.#store.members(everyAccount, page);
    const ids = keys.map((key) => key.slice(accountKey('').length) as AccountId);
    return { ids, ...(next !== undefined && { next }) };
  }

  /** Keeps the accounts to which their address leads. A crash, or a lost race for an address, leaves others behind. */
  async reachable(read: readonly ReadAccount[]): Promise<ReadAccount[]> {
    const areHeld = await this.#claims.areHeld(read);
    return read.filter((_one, at) => areHeld[at]);
  }

  /**
   * Creates an account. Writes its key first, its record second and its address last. A crash in between leaves an
   * unreachable record, but never an address without an account.
   * @returns false if the address has an account
   */
  async create(account: Account): Promise<boolean> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const formats = await this.#keys.formats();
      const stored = formats.writes < SEALED ? account : await this.#keys.seal(account);
      const written = await this.#store.create(accountKey(account.id), stored, { indexes: [everyAccount] });
      if (!written) throw new Error('the account id is in use');
      const outcome = await this.#claim(account, formats).catch(async (error: unknown) => {
        await this.#undo(account, [formats]).catch(() => undefined);
        throw error;
      });
      if (outcome === 'claimed') return true;
      await this.#undo(account, outcome.since);
      if (outcome.isTaken) return false;
    }
    throw new StoreUnavailable('the format of the store keeps changing');
  }

  /** Claims an address, unless it is taken, or the format of the store has changed since the record was written. */
  async #claim(
    account: Account,
    formats: Formats,
  ): Promise<'claimed' | { isTaken: boolean; since: readonly Formats[] }> {
    const isClaimed = await this.#claims.claim(account, formats);
    const now = await this.#keys.formats();
    if (isClaimed && isDeepStrictEqual(now, formats)) return 'claimed';
    return { isTaken: !isClaimed, since: [formats, now] };
  }

  /** Removes what an interrupted creation has written: the address first. */
  async #undo(account: Account, since: readonly Formats[]): Promise<void> {
    for (const formats of since) await this.#claims.release(account, formats);
    await this.#store.delete(accountKey(account.id));
    await this.#keys.destroy(account.id);
  }

  /**
   * Changes members that are not sealed, by compare-and-swap.
   * @returns the changed account; undefined if there is none, or its personal data cannot be opened
   */
  async change(id: AccountId, edit: <T extends ClearMembers>(account: T) => T): Promise<Account | undefined> {
    const changed = await this.#update(id, await this.#store.get(accountKey(id)), edit);
    const [read] = changed === undefined ? [] : await this.read([id]);
    return read?.account;
  }

  /**
   * Erases the personal data of an account: it marks the record, drops the sealed data and destroys the key. A record of
   * format 1 is only disabled, until it is removed. It may be repeated.
   */
  async erase(id: AccountId, now: number): Promise<void> {
    const [read] = await this.read([id]);
    if (read === undefined) return;
    if (read.account !== undefined && isSealed(read.stored.value)) {
      if ((await this.#keys.formats()).oldest < SEALED) await this.#claims.releasePlain(read.account);
    }
    const erased = await this.#update(id, read.stored, (account) => {
      const disabledAt = account.disabledAt ?? now;
      if (!isSealed(account)) return { ...account, disabledAt };
      const { sealed: _, ...rest } = account;
      return { ...rest, disabledAt, erasedAt: account.erasedAt ?? now };
    });
    if (erased !== undefined && isSealed(erased)) await this.#keys.destroy(id);
  }

  /**
   * Removes an account, and its address first. A crash in between leaves an unreachable record, which can be removed
   * again. @returns whether it existed
   */
  async remove(id: AccountId, now: number): Promise<boolean> {
    const stored = await this.#store.get(accountKey(id));
    if (stored === undefined) return false;
    const isErased = isSealed(stored.value) && stored.value.erasedAt !== undefined;
    // An interrupted erasure may have left the key.
    const erased = isErased ? this.#keys.destroy(id) : this.erase(id, now);
    if (!isErased) await erased;
    await Promise.all([erased, this.#claims.releaseStored(id, stored.value)]);
    const taken = await this.#store.take(accountKey(id));
    if (taken === undefined || isSealed(taken.value) === isSealed(stored.value)) return taken !== undefined;
    // An upgrade has sealed the account meanwhile.
    await this.#keys.destroy(id);
    await this.#claims.releaseStored(id, taken.value);
    return true;
  }

  /**
   * Seals the accounts of one page that are of format 1.
   * @returns how many it has read and how many of these it has changed, and the cursor of the next page
   */
  async seal(page: { after?: string; limit: number }): Promise<{ read: number; changed: number; next?: string }> {
    const { ids, next } = await this.ids(page);
    let changed = 0;
    await forEachConcurrently(ids, async (id) => {
      if (await this.#sealOne(id)) changed += 1;
    });
    return { read: ids.length, changed, ...(next !== undefined && { next }) };
  }

  /** Seals an account. It may be repeated. @returns whether it has changed anything */
  async #sealOne(id: AccountId): Promise<boolean> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const [read] = await this.read([id]);
      if (read?.account === undefined) return false;
      const outcome = await this.#trySealing(read.stored, read.account);
      if (outcome !== 'again') return outcome === 'changed';
    }
    throw new StoreUnavailable(`the records of account ${id} keep changing, or the store loses them`);
  }

  /**
   * Claims the address in its new form, then seals the record, and then deletes the old claim. It reads key and claim
   * back before it replaces the record, because these hold what is left of the plain data.
   */
  async #trySealing(
    { value, version }: Stored<StoredAccount>,
    account: Account,
  ): Promise<'changed' | 'unchanged' | 'again'> {
    const { id } = account;
    const { isHeld, isChanged } = await this.#claims.settle(account);
    if (!isSealed(value)) {
      const sealed = await this.#keys.seal(account);
      if (!(await this.#keys.isStoredFor(sealed))) return 'again';
      if (isHeld && !(await this.#claims.isSettled(account))) return 'again';
      if (!(await this.#store.replace(accountKey(id), sealed, version, { indexes: [everyAccount] }))) {
        if (await this.exists(id)) return 'again';
        // It was removed meanwhile.
        await this.#keys.destroy(id);
        await this.#claims.releaseSealed(account);
        return 'changed';
      }
    }
    // An account that has lost its address keeps the old claim while a node may still undo the new one.
    const mayRelease = isHeld || (await this.#keys.formats()).oldest >= SEALED;
    const isReleased = mayRelease && (await this.#claims.releasePlain(account));
    return isChanged || isReleased || !isSealed(value) ? 'changed' : 'unchanged';
  }

  /** Tells whether the record exists, even if its person is erased. */
  async exists(id: string): Promise<boolean> {
    return (await this.#store.get(accountKey(id))) !== undefined;
  }

  async #opened(
    id: string,
    stored: StoredAccount,
    wrapped: { wrapped: string } | undefined,
  ): Promise<Pick<ReadAccount, 'account' | 'unreadable'>> {
    try {
      const account = await this.#keys.open(id, stored, wrapped);
      return account === undefined ? {} : { account };
    } catch (error) {
      if (error instanceof AccountUnreadable) return { unreadable: error };
      throw error;
    }
  }

  #update(
    id: AccountId,
    read: Stored<StoredAccount> | undefined,
    change: (now: StoredAccount) => StoredAccount,
  ): Promise<StoredAccount | undefined> {
    return update(this.#store, accountKey(id), read, change, { indexes: [everyAccount] });
  }
}
