import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../lib/clock.ts';
import { normaliseEmail } from '../lib/email.ts';
import { type AccountId, newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import type { Store } from '../storage/store.ts';
import { type Account, type EmailVoucher, newAccount, type NewAccount, unique } from './account.ts';
import { AccountKeys, type AccountSealing } from './account-keys.ts';
import { AccountRecords, type ReadAccount } from './account-records.ts';
import { IssuerLinks } from './issuer-links.ts';
import type { ClearMembers } from './sealing.ts';
import { searchAccounts } from './search.ts';

export interface AccountPage {
  accounts: Account[];
  /** The accounts of this page that cannot be opened, with the reason. An erased person's account has none. */
  unreadable: readonly { id: AccountId; reason?: string }[];
  /** Cursor of the next page; absent on the last page. */
  next?: string;
}

export interface Accounts {
  newId(): AccountId;
  find(id: string): Promise<Account | undefined>;
  findByEmail(email: string): Promise<Account | undefined>;
  /**
   * Creates an account. Even under concurrency, an address has at most one account. @throws RangeError if the email is
   * not an address
   */
  create(account: NewAccount): Promise<Account | 'email-taken'>;
  /** Sets or edits the roles by compare-and-swap, so that concurrent changes are not lost. */
  setRoles(
    id: AccountId,
    roles: readonly string[] | ((now: readonly string[]) => readonly string[]),
  ): Promise<Account | undefined>;
  /** Records that the address belongs to the account's owner. The first voucher is kept. */
  verifyEmail(id: AccountId, by: EmailVoucher): Promise<Account | undefined>;
  /** Records that the configuration made the account, for an account of an earlier version that has no origin. */
  claimForConfiguration(id: AccountId): Promise<Account | undefined>;
  disable(id: AccountId): Promise<Account | undefined>;
  enable(id: AccountId): Promise<Account | undefined>;
  /** Disables an account and destroys the key of its personal data, if that is sealed. */
  erase(id: AccountId): Promise<void>;
  /** Erases an account, removes it and frees its address. @returns whether it existed */
  remove(id: AccountId): Promise<boolean>;
  /** Seals the accounts of one page that are of format 1, for the upgrade of a store. */
  seal(page: { after?: string; limit: number }): Promise<{ read: number; changed: number; next?: string }>;
  /** The links from the subjects of trusted issuers to accounts. */
  links: Pick<IssuerLinks, 'find' | 'set' | 'seal'>;
  /** Tells whether there is an account, even if its person is erased or its personal data cannot be opened. */
  exists(id: string): Promise<boolean>;
  /** Lists accounts, the oldest first. */
  list(page?: { after?: string; limit?: number }): Promise<AccountPage>;
  /** Lists the ids of all accounts, the oldest first, without opening them. */
  ids(page?: { after?: string; limit?: number }): Promise<{ ids: AccountId[]; next?: string }>;
  /**
   * Finds accounts by the beginnings of words of the name or address, by an address, or by the beginning of an id. A
   * page has at most `limit` accounts, and may have none although more pages follow.
   */
  search(text: string, page: { after?: string; limit: number }): Promise<AccountPage>;
}

/** @param options.sealing absent for a store that holds no sealed accounts */
export function openAccounts(options: {
  records: Store;
  clock: Clock;
  random: Random;
  sealing?: AccountSealing | undefined;
}): Accounts {
  const { clock, random } = options;
  const keys = new AccountKeys(options.records, random, options.sealing);
  const records = new AccountRecords(options.records, keys);

  async function create(input: NewAccount): Promise<Account | 'email-taken'> {
    const account = newAccount(input, input.id ?? newId('acc', clock, random), clock.now());
    return (await records.create(account)) ? account : 'email-taken';
  }

  /** Lists accounts. Skips records that a crash, or a lost race for an address, left behind. */
  async function list(page?: { after?: string; limit?: number }): Promise<AccountPage> {
    const { ids, next } = await records.ids(page);
    return pageOf(await records.reachable(await records.read(ids)), next);
  }

  return {
    newId: () => newId('acc', clock, random),
    find: (id) => records.find(id),
    findByEmail: (email) => records.findByEmail(normaliseEmail(email) ?? ''),
    create,
    setRoles: (id, roles) => records.change(id, (account) => withRoles(account, roles, clock.now())),
    verifyEmail: (id, by) => records.change(id, (account) => verified(account, by, clock.now())),
    claimForConfiguration: (id) =>
      records.change(id, (account) => ({ ...account, origin: account.origin ?? 'configuration' })),
    disable: (id) => records.change(id, (account) => ({ ...account, disabledAt: account.disabledAt ?? clock.now() })),
    enable: (id) => records.change(id, withoutDisabledAt),
    erase: (id) => records.erase(id, clock.now()),
    remove: (id) => records.remove(id, clock.now()),
    seal: (page) => records.seal(page),
    links: new IssuerLinks(options.records, keys),
    exists: (id) => records.exists(id),
    list,
    ids: (page) => records.ids(page),
    async search(text, page) {
      const { found, next } = await searchAccounts(text, page, { records, keys });
      return pageOf(found, next);
    },
  };
}

function pageOf(read: readonly ReadAccount[], next: string | undefined): AccountPage {
  const unreadable = read.filter(({ account }) => account === undefined);
  return {
    accounts: read.flatMap(({ account }) => account ?? []),
    unreadable: unreadable.map(({ id, unreadable: error }) => ({ id, ...(error && { reason: error.message }) })),
    ...(next !== undefined && { next }),
  };
}

function withRoles<T extends ClearMembers>(account: T, roles: Parameters<Accounts['setRoles']>[1], now: number): T {
  const given = unique(typeof roles === 'function' ? roles(account.roles) : roles);
  return isDeepStrictEqual(given, account.roles) ? account : { ...account, roles: given, updatedAt: now };
}

function withoutDisabledAt<T extends ClearMembers>(account: T): T {
  const enabled = { ...account };
  delete enabled.disabledAt;
  return enabled;
}

function verified<T extends ClearMembers>(account: T, by: EmailVoucher, now: number): T {
  return account.emailVerified === undefined ? { ...account, emailVerified: { by, at: now }, updatedAt: now } : account;
}
