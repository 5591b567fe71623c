import type { AccountId } from '../lib/ids.ts';
import type { Formats } from '../storage/format.ts';
import { forEachConcurrently } from '../storage/every-member.ts';
import { type Index, type Key, keyspace, type Store, type Stored } from '../storage/store.ts';
import { update } from '../storage/update.ts';
import type { Account } from './account.ts';
import { type AccountKeys, SEALED } from './account-keys.ts';
import { AccountUnreadable, type ClearMembers, isSealed, plainClaim, type StoredAccount } from './sealing.ts';

/** Maps an address to its account. */
interface EmailClaim {
  account: AccountId;
}

/** An account as it was read: opened, erased, or unreadable. */
export interface ReadAccount {
  id: AccountId;
  stored: Stored<StoredAccount>;
  /** Absent if the person is erased or the account cannot be opened. */
  account?: Account;
  unreadable?: AccountUnreadable;
}

const accountKey: (id: string) => Key<StoredAccount> = keyspace<StoredAccount>('account');
const emailKey = keyspace<EmailClaim>('account-email');
const everyAccount: Index<StoredAccount> = 'accounts';

/** Reads and writes accounts in the form that the store's format prescribes. */
export class AccountRecords {
  readonly #store: Store;
  readonly #keys: AccountKeys;

  constructor(store: Store, keys: AccountKeys) {
    this.#store = store;
    this.#keys = keys;
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
   * not reveal known addresses.
   */
  async ownerOf(email: string): Promise<ReadAccount[]> {
    const { sealed, plain } = await this.#claimsOf(email, await this.#keys.formats());
    const claims = await this.#store.getMany([sealed, plain].filter((claim) => claim !== undefined));
    const id = claims.find((claim) => claim !== undefined)?.value.account;
    const read = await this.read([id ?? 'none']);
    return read.map((owner) => {
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
    const claims = await this.#store.getMany(read.map(({ stored }) => emailKey(claimOf(stored.value))));
    return read.filter(({ id }, at) => claims[at]?.value.account === id);
  }

  /**
   * Creates an account. Writes its key first, its record second and its address last. A crash in between leaves an
   * unreachable record, but never an address without an account, with which nobody could sign up again.
   * @returns false if the address has an account
   */
  async create(account: Account): Promise<boolean> {
    const formats = await this.#keys.formats();
    const stored = formats.writes < SEALED ? account : await this.#keys.seal(account);
    const written = await this.#store.create(accountKey(account.id), stored, { indexes: [everyAccount] });
    if (!written) throw new Error('the account id is in use');
    const { sealed, plain } = await this.#claimsOf(account.email, formats);
    const [own, other] = formats.writes < SEALED ? [plain, sealed] : [sealed, plain];
    if (await this.#claim(own, other, account.id)) return true;
    await this.#store.delete(accountKey(account.id));
    await this.#keys.destroy(account.id);
    return false;
  }

  /**
   * Claims an address. A node that writes another format creates its own claim first, too, and then looks at the other
   * one. So at least one of two nodes sees both.
   */
  async #claim(
    own: Key<EmailClaim> | undefined,
    other: Key<EmailClaim> | undefined,
    account: AccountId,
  ): Promise<boolean> {
    if (own === undefined || !(await this.#store.create(own, { account }))) return false;
    if (other === undefined || (await this.#store.get(other)) === undefined) return true;
    await this.#store.delete(own);
    return false;
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
      const plain = emailKey(plainClaim(read.account.email));
      if ((await this.#keys.formats()).oldest < SEALED) await this.#deleteClaim(plain, id);
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
    await Promise.all([erased, this.#deleteClaim(emailKey(claimOf(stored.value)), id)]);
    const taken = await this.#store.take(accountKey(id));
    if (taken === undefined || isSealed(taken.value) === isSealed(stored.value)) return taken !== undefined;
    // An upgrade has sealed the account meanwhile.
    await this.#keys.destroy(id);
    await this.#deleteClaim(emailKey(claimOf(taken.value)), id);
    return true;
  }

  /** Seals the accounts of one page that are of format 1. @returns how many it has read, and the cursor of the next page */
  async seal(page: { after?: string; limit: number }): Promise<{ read: number; next?: string }> {
    const { ids, next } = await this.ids(page);
    await forEachConcurrently(ids, (id) => this.#sealOne(id));
    return { read: ids.length, ...(next !== undefined && { next }) };
  }

  /** Claims the address in its new form, then seals the record, and then deletes the old claim. It may be repeated. */
  async #sealOne(id: AccountId): Promise<void> {
    const [read] = await this.read([id]);
    if (read?.account === undefined) return;
    const cipher = await this.#keys.cipher();
    const [claim, old] = [emailKey(cipher.claim(read.account.email)), emailKey(plainClaim(read.account.email))];
    if (!isSealed(read.stored.value)) {
      if ((await this.#store.get(old))?.value.account === id) await this.#store.create(claim, { account: id });
      const sealed = await this.#keys.seal(read.account);
      const { version } = read.stored;
      if (!(await this.#store.replace(accountKey(id), sealed, version, { indexes: [everyAccount] }))) {
        // It was changed or removed meanwhile.
        if (await this.exists(id)) return this.#sealOne(id);
        await this.#keys.destroy(id);
        return this.#deleteClaim(claim, id);
      }
    }
    await this.#deleteClaim(old, id);
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

  /** Returns the keys of the records that assign an address to its account, one for each format in the store. */
  async #claimsOf(
    email: string,
    { oldest, reads }: Formats,
  ): Promise<{ sealed: Key<EmailClaim> | undefined; plain: Key<EmailClaim> | undefined }> {
    return {
      sealed: reads < SEALED ? undefined : emailKey((await this.#keys.cipher()).claim(email)),
      plain: oldest < SEALED ? emailKey(plainClaim(email)) : undefined,
    };
  }

  #update(
    id: AccountId,
    read: Stored<StoredAccount> | undefined,
    change: (now: StoredAccount) => StoredAccount,
  ): Promise<StoredAccount | undefined> {
    return update(this.#store, accountKey(id), read, change, { indexes: [everyAccount] });
  }

  async #deleteClaim(claim: Key<EmailClaim>, id: AccountId): Promise<void> {
    if ((await this.#store.get(claim))?.value.account === id) await this.#store.delete(claim);
  }
}

function claimOf(stored: StoredAccount): string {
  return isSealed(stored) ? stored.claim : plainClaim(stored.email);
}
