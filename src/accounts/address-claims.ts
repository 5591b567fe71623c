import type { AccountId } from '../lib/ids.ts';
import type { Formats } from '../storage/format.ts';
import { type Key, keyspace, type Store, StoreUnavailable } from '../storage/store.ts';
import type { Account } from './account.ts';
import { type AccountKeys, SEALED } from './account-keys.ts';
import { isSealed, plainClaim, type StoredAccount } from './sealing.ts';

/** Maps an address to its account. */
interface EmailClaim {
  account: AccountId;
}

type Named = Pick<Account, 'id' | 'email'>;

export const accountKey: (id: string) => Key<StoredAccount> = keyspace<StoredAccount>('account');
const emailKey = keyspace<EmailClaim>('account-email');

/** The number of times that a claim is tried while others change it. */
const ATTEMPTS = 20;

/** The records that map addresses to accounts. During an upgrade, an address may have one of each format. */
export class AddressClaims {
  readonly #store: Store;
  readonly #keys: AccountKeys;

  constructor(store: Store, keys: AccountKeys) {
    this.#store = store;
    this.#keys = keys;
  }

  /** Returns the accounts to which the claims on an address lead, in every form that the store may have. */
  async holders(email: string): Promise<AccountId[]> {
    const { sealed, plain } = await this.#keysOf(email, await this.#keys.formats());
    const claims = await this.#store.getMany([sealed, plain].filter((claim) => claim !== undefined));
    return [...new Set(claims.flatMap((claim) => claim?.value.account ?? []))];
  }

  /** Tells for each account whether its address leads to it. */
  async areHeld(accounts: readonly { id: AccountId; stored: { value: StoredAccount } }[]): Promise<boolean[]> {
    const claims = await this.#store.getMany(accounts.map(({ stored }) => claimOf(stored.value)));
    return accounts.map(({ id }, at) => claims[at]?.value.account === id);
  }

  /**
   * Claims an address for a new account. A node that writes another format creates its own claim first, too, and then
   * looks at the other one. So at least one of two nodes sees both.
   * @returns false if the address has an account
   */
  async claim({ id, email }: Named, formats: Formats): Promise<boolean> {
    const { sealed, plain } = await this.#keysOf(email, formats);
    const [own, other] = formats.writes < SEALED ? [plain, sealed] : [sealed, plain];
    if (own === undefined || !(await this.#take(own, id, () => false))) return false;
    if (other === undefined) return true;
    const found = await this.#store.get(other);
    const isFree = found === undefined || (await this.#store.get(accountKey(found.value.account))) === undefined;
    // An upgrade may have given the own claim to an older account before it deleted the other claim.
    return isFree && (await this.#isHeldBy(own, id));
  }

  /** Deletes the claims of an account on an address. @param formats those that the store had when they were made */
  async release({ id, email }: Named, formats: Formats): Promise<void> {
    const { sealed, plain } = await this.#keysOf(email, formats);
    for (const claim of [sealed, plain]) if (claim !== undefined) await this.#delete(claim, id);
  }

  /** Deletes the claim that a stored account names. */
  async releaseStored(id: AccountId, stored: StoredAccount): Promise<void> {
    await this.#delete(claimOf(stored), id);
  }

  /**
   * Claims an address in its new form for an account of an older form. If another account has that claim, the older
   * account gets it.
   */
  async settle({ id, email, createdAt }: Account): Promise<{ isHeld: boolean; isChanged: boolean }> {
    const { sealed, plain } = await this.#formsOf(email);
    const [now, old] = await this.#store.getMany([sealed, plain]);
    if (now?.value.account === id) return { isHeld: true, isChanged: false };
    // A crash or a lost race for the address has left the account behind.
    if (old?.value.account !== id) return { isHeld: false, isChanged: false };
    const isHeld = await this.#take(sealed, id, (holder) => isOlder({ id, createdAt }, holder));
    return { isHeld, isChanged: isHeld };
  }

  /** Tells whether the address leads to the account in its new form. */
  async isSettled({ id, email }: Named): Promise<boolean> {
    return this.#isHeldBy((await this.#formsOf(email)).sealed, id);
  }

  /** Deletes the claim of the old form. @returns whether the account had one */
  async releasePlain({ id, email }: Named): Promise<boolean> {
    return this.#delete(emailKey(plainClaim(email)), id);
  }

  /** Deletes the claim of the new form. */
  async releaseSealed({ id, email }: Named): Promise<void> {
    await this.#delete((await this.#formsOf(email)).sealed, id);
  }

  /**
   * Takes a claim that is free, or whose account does not exist or gives way.
   * @param precedes tells whether the account precedes another one that has the claim
   * @returns false if another account keeps the claim
   */
  async #take(
    claim: Key<EmailClaim>,
    account: AccountId,
    precedes: (holder: StoredAccount) => boolean,
  ): Promise<boolean> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (await this.#store.create(claim, { account })) return true;
      const found = await this.#store.get(claim);
      if (found === undefined) continue;
      if (found.value.account === account) return true;
      // An account is written before its claim, and deleted after it.
      const holder = await this.#store.get(accountKey(found.value.account));
      if (holder !== undefined && !precedes(holder.value)) return false;
      if (await this.#store.replace(claim, { account }, found.version)) return true;
    }
    throw new StoreUnavailable('the claim on an address keeps changing');
  }

  async #isHeldBy(claim: Key<EmailClaim>, id: AccountId): Promise<boolean> {
    return (await this.#store.get(claim))?.value.account === id;
  }

  /** Deletes a claim, unless another account has it, even if that has just taken it. @returns whether it was deleted */
  async #delete(claim: Key<EmailClaim>, id: AccountId): Promise<boolean> {
    const found = await this.#store.get(claim);
    if (found?.value.account !== id) return false;
    return this.#store.replace(claim, found.value, found.version, { ttl: 0 });
  }

  async #formsOf(email: string): Promise<{ sealed: Key<EmailClaim>; plain: Key<EmailClaim> }> {
    return { sealed: emailKey((await this.#keys.cipher()).claim(email)), plain: emailKey(plainClaim(email)) };
  }

  /** Returns the keys of the claims on an address, one for each format in the store. */
  async #keysOf(
    email: string,
    { oldest, reads }: Formats,
  ): Promise<{ sealed: Key<EmailClaim> | undefined; plain: Key<EmailClaim> | undefined }> {
    return {
      sealed: reads < SEALED ? undefined : (await this.#formsOf(email)).sealed,
      plain: oldest < SEALED ? emailKey(plainClaim(email)) : undefined,
    };
  }
}

/** Tells whether an account precedes another one, if the address has claims of both. */
export function isOlder(one: Pick<Account, 'id' | 'createdAt'>, other: Pick<Account, 'id' | 'createdAt'>): boolean {
  return one.createdAt === other.createdAt ? one.id < other.id : one.createdAt < other.createdAt;
}

function claimOf(stored: StoredAccount): Key<EmailClaim> {
  return emailKey(isSealed(stored) ? stored.claim : plainClaim(stored.email));
}
