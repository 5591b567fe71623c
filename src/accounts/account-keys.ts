import type { KeyObject } from 'node:crypto';
import type { Random } from '../lib/random.ts';
import type { Formats } from '../storage/format.ts';
import { type Key, keyspace, type Store, type Stored, type Term } from '../storage/store.ts';
import type { Account } from './account.ts';
import { AccountCipher, AccountUnreadable, isSealed, type SealedAccount, type StoredAccount } from './sealing.ts';
import { beginningsOf } from './search-words.ts';

/** The first format that seals personal data. */
export const SEALED = 2;
const PLAIN: Formats = { oldest: 1, writes: 1, reads: 1 };

export interface AccountSealing {
  /** Returns the formats of the store now. */
  formats: () => Promise<Formats>;
  /** Reads the key ring, which wraps the accounts' keys. It is called only for a store that has sealed accounts. */
  keys: () => Promise<{ derive(label: string): Buffer }>;
}

/** The key of an account, wrapped by the key ring. Without it, nobody can open the account's personal data. */
interface WrappedKey {
  wrapped: string;
}

const wrappedKey: (id: string) => Key<WrappedKey> = keyspace<WrappedKey>('account-key');

/** The number of accounts whose keys this node keeps unwrapped. */
const KEYS_KEPT = 10_000;

/** The keys of the accounts, of which this node keeps some in memory. */
export class AccountKeys {
  readonly #store: Store;
  readonly #random: Random;
  readonly #sealing: AccountSealing | undefined;
  readonly #kept = new Map<string, KeyObject>();
  #cipher: Promise<AccountCipher> | undefined;

  /** @param sealing absent for a store that holds no sealed accounts */
  constructor(store: Store, random: Random, sealing: AccountSealing | undefined) {
    this.#store = store;
    this.#random = random;
    this.#sealing = sealing;
  }

  async formats(): Promise<Formats> {
    return (await this.#sealing?.formats()) ?? PLAIN;
  }

  /** Opens the key ring, unless it is open. @throws MasterKeyError */
  cipher(): Promise<AccountCipher> {
    const { keys } = this.#sealing ?? {
      keys: () => Promise.reject(new Error('the accounts of this store are sealed')),
    };
    this.#cipher ??= keys()
      .then((ring) => new AccountCipher((label) => ring.derive(label), this.#random))
      .catch((error: unknown) => {
        this.#cipher = undefined;
        throw error;
      });
    return this.#cipher;
  }

  /** Names the records that hold the keys of accounts, except those that this node keeps. */
  async missing(ids: readonly string[]): Promise<{ id: string; key: Key<WrappedKey> }[]> {
    if ((await this.formats()).reads < SEALED) return [];
    return ids.filter((id) => !this.#kept.has(id)).map((id) => ({ id, key: wrappedKey(id) }));
  }

  /**
   * Opens a stored account. @param wrapped its key, if {@link missing} named it
   * @returns undefined if the person is erased
   * @throws AccountUnreadable
   */
  async open(id: string, stored: StoredAccount, wrapped: WrappedKey | undefined): Promise<Account | undefined> {
    if (!isSealed(stored)) return stored;
    if (stored.erasedAt !== undefined) return undefined;
    const cipher = await this.cipher();
    return cipher.open(id, stored, this.#unwrapped(cipher, id, wrapped));
  }

  /**
   * Seals an account under a key of its own, and stores the key with the terms by which a search finds the account. If
   * an interrupted call has stored a key, uses that key.
   */
  async seal(account: Account): Promise<SealedAccount> {
    const cipher = await this.cipher();
    const { key, wrapped } = cipher.newKey(account.id);
    const terms = beginningsOf(account).map((beginning) => termOf(cipher, beginning));
    if (await this.#store.create(wrappedKey(account.id), { wrapped }, { terms }))
      return cipher.seal(account, this.#keep(account.id, key));
    const found: Stored<WrappedKey> | undefined = await this.#store.get(wrappedKey(account.id));
    // A key that this node keeps may be one that the store has lost.
    this.#kept.delete(account.id);
    return cipher.seal(account, this.#unwrapped(cipher, account.id, found?.value));
  }

  /** Tells whether the store has the key that opens a sealed account. */
  async isStoredFor(sealed: SealedAccount): Promise<boolean> {
    const { id } = sealed;
    const cipher = await this.cipher();
    const found = await this.#store.get(wrappedKey(id));
    if (found === undefined) return false;
    try {
      cipher.open(id, sealed, cipher.unwrap(id, found.value.wrapped));
      return true;
    } catch (error) {
      if (error instanceof AccountUnreadable) return false;
      throw error;
    }
  }

  /** Destroys the key of an account, and the terms by which a search finds it. */
  async destroy(id: string): Promise<void> {
    this.#kept.delete(id);
    await this.#store.delete(wrappedKey(id));
  }

  /** Tells whether every account has its search terms. */
  async areSearchable(): Promise<boolean> {
    return (await this.formats()).oldest >= SEALED;
  }

  /** Returns one page of the ids of accounts that have a word with this beginning. */
  async withWord(
    beginning: string,
    page: { after?: string; limit: number },
  ): Promise<{ ids: string[]; next?: string }> {
    const { found, next } = await this.#store.range(termOf(await this.cipher(), beginning), page);
    const ids = found.map(({ key }) => key.slice(wrappedKey('').length));
    return { ids, ...(next !== undefined && { next }) };
  }

  #unwrapped(cipher: AccountCipher, id: string, wrapped: WrappedKey | undefined): KeyObject {
    const kept = this.#kept.get(id);
    if (kept !== undefined) return kept;
    if (wrapped === undefined) throw new AccountUnreadable(id, `its key ${wrappedKey(id)} is missing from the store`);
    return this.#keep(id, cipher.unwrap(id, wrapped.wrapped));
  }

  #keep(id: string, key: KeyObject): KeyObject {
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= KEYS_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    this.#kept.set(id, key);
    return key;
  }
}

/** Returns the term of a word's beginning. There are sixteen orders, so that a cluster spreads them. */
function termOf(cipher: AccountCipher, beginning: string): Term<WrappedKey> {
  return `account-words-${cipher.term(beginning)}`;
}
