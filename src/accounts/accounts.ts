import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../lib/clock.ts';
import { sha256 } from '../lib/hash.ts';
import { type AccountId, newId } from '../lib/ids.ts';
import type { Random } from '../lib/random.ts';
import { type Index, keyspace, type Store } from '../storage/store.ts';
import { update } from '../storage/update.ts';
import { normaliseEmail } from '../lib/email.ts';

export interface Account extends Provenance {
  id: AccountId;
  /** Normalised by {@link normaliseEmail}. */
  email: string;
  name: string;
  roles: readonly string[];
  /** The time of creation. All times here are in milliseconds since the epoch. */
  createdAt: number;
  /** The time of the last change to the person's data. If it is absent, nothing has changed since `createdAt`. */
  updatedAt?: number;
  disabledAt?: number;
}

export interface NewAccount {
  /** An id from {@link Accounts.newId}, if something was stored under it beforehand. */
  id?: AccountId;
  email: string;
  name: string;
  roles: readonly string[];
  origin: AccountOrigin;
  /** Absent if nobody has verified the address. */
  emailVerifiedBy?: EmailVoucher;
  madeFor?: string;
}

interface AccountPage {
  accounts: Account[];
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
  /** Removes an account and frees its address. @returns whether it existed */
  remove(id: AccountId): Promise<boolean>;
  /** Lists accounts, the oldest first. */
  list(page?: { after?: string; limit?: number }): Promise<AccountPage>;
}

/** Maps the hash of an address to its account. */
interface EmailClaim {
  account: AccountId;
}

const accountKey = keyspace<Account>('account');
const emailKey = keyspace<EmailClaim>('account-email');
const everyAccount: Index<Account> = 'accounts';

export function openAccounts(options: { records: Store; clock: Clock; random: Random }): Accounts {
  const { records, clock, random } = options;

  async function find(id: string): Promise<Account | undefined> {
    return (await records.get(accountKey(id)))?.value;
  }

  /**
   * Finds an account by its address. Reads twice even for an unknown address, so that the number of reads does not
   * reveal known addresses.
   */
  async function findByEmail(email: string): Promise<Account | undefined> {
    const claim = await records.get(claimKey(email));
    return find(claim?.value.account ?? 'none');
  }

  /**
   * Creates an account. Writes its record first and its address second. A crash in between leaves an unreachable
   * record, but never an address without an account, with which nobody could sign up again.
   */
  async function create(input: NewAccount): Promise<Account | 'email-taken'> {
    const account = newAccount(input, input.id ?? newId('acc', clock, random), clock.now());
    const written = await records.create(accountKey(account.id), account, { indexes: [everyAccount] });
    if (!written) throw new Error('the account id is in use');
    if (await records.create(claimKey(account.email), { account: account.id })) return account;
    await records.delete(accountKey(account.id));
    return 'email-taken';
  }

  async function change(id: AccountId, edit: (account: Account) => Account): Promise<Account | undefined> {
    const stored = await records.get(accountKey(id));
    return update(records, accountKey(id), stored, edit, { indexes: [everyAccount] });
  }

  /** Lists accounts. Skips records that a crash, or a lost race for an address, left behind. */
  async function list(page?: { after?: string; limit?: number }): Promise<AccountPage> {
    const { keys, next } = await records.members(everyAccount, page);
    const found = (await records.getMany(keys)).flatMap((stored) => (stored === undefined ? [] : [stored.value]));
    const claims = await records.getMany(found.map((account) => claimKey(account.email)));
    const accounts = found.filter((account, position) => claims[position]?.value.account === account.id);
    return { accounts, ...(next !== undefined && { next }) };
  }

  return {
    newId: () => newId('acc', clock, random),
    find,
    findByEmail,
    create,
    setRoles: (id, roles) => change(id, (account) => withRoles(account, roles, clock.now())),
    verifyEmail: (id, by) => change(id, (account) => verified(account, by, clock.now())),
    claimForConfiguration: (id) => change(id, (account) => ({ ...account, origin: account.origin ?? 'configuration' })),
    disable: (id) => change(id, (account) => ({ ...account, disabledAt: account.disabledAt ?? clock.now() })),
    enable: (id) => change(id, ({ disabledAt: _, ...account }) => account),
    remove: (id) => remove(records, id),
    list,
  };
}

function withRoles(account: Account, roles: Parameters<Accounts['setRoles']>[1], now: number): Account {
  const given = unique(typeof roles === 'function' ? roles(account.roles) : roles);
  return isDeepStrictEqual(given, account.roles) ? account : { ...account, roles: given, updatedAt: now };
}

function verified(account: Account, by: EmailVoucher, now: number): Account {
  return account.emailVerified === undefined ? { ...account, emailVerified: { by, at: now }, updatedAt: now } : account;
}

/**
 * Removes an account, and its address first. A crash in between leaves an unreachable record, which can be removed
 * again.
 */
async function remove(records: Store, id: AccountId): Promise<boolean> {
  const account = (await records.get(accountKey(id)))?.value;
  if (account === undefined) return false;
  const claim = await records.get(claimKey(account.email));
  if (claim?.value.account === id) await records.delete(claimKey(account.email));
  return records.delete(accountKey(id));
}

function claimKey(email: string) {
  return emailKey(sha256(normaliseEmail(email) ?? ''));
}

function newAccount(input: NewAccount, id: AccountId, createdAt: number): Account {
  const email = normaliseEmail(input.email);
  if (email === undefined) throw new RangeError('not an email address');
  const { origin, emailVerifiedBy: by, madeFor } = input;
  const person = { id, email, name: normaliseName(input.name), roles: unique(input.roles), createdAt, origin };
  return {
    ...person,
    ...(by !== undefined && { emailVerified: { by, at: createdAt } }),
    ...(madeFor !== undefined && { madeFor }),
  };
}

function unique(roles: readonly string[]): string[] {
  return [...new Set(roles)];
}

const LONGEST = 100;

/**
 * Characters that break a line, or that embed, override or isolate a reading direction, so that a name could pass for
 * other text. The marks U+200E, U+200F and U+061C are allowed: they only place a name's own punctuation, and people who
 * write from right to left need them.
 */
const FORBIDDEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u;
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

export type NameProblem = 'empty' | 'too-long' | 'forbidden-character';

/** Normalises a person's name for the store. */
export function normaliseName(text: string): string {
  return text.normalize('NFC').trim();
}

/** Finds the problem with a name: it needs 1 to 100 code points, a visible one, and no control characters. */
export function nameProblem(text: string): NameProblem | undefined {
  const name = normaliseName(text);
  if (FORBIDDEN.test(name)) return 'forbidden-character';
  if (!VISIBLE.test(name)) return 'empty';
  return [...name].length > LONGEST ? 'too-long' : undefined;
}

/** The origin of an account. */
type AccountOrigin = 'sign-up' | 'operator' | 'configuration' | 'trusted-issuer';

/** The party that vouches for the address of an account. */
type EmailVoucher = 'operator' | 'configuration' | 'trusted-issuer';

/** The origin of an account and the verification of its address. Accounts of earlier versions have neither. */
interface Provenance {
  origin?: AccountOrigin;
  /** The party that verified the address, and the time in milliseconds since the epoch. */
  emailVerified?: { by: EmailVoucher; at: number };
  /** A hash of the trusted issuer and its subject, if the account was made for that subject. */
  madeFor?: string;
}

/**
 * Tells whether the owner of the address owns the account. A stranger may have signed up with somebody else's address,
 * and an account of an earlier version has no recorded origin.
 */
export function isOwnersAddress({ origin, emailVerified }: Provenance): boolean {
  return emailVerified !== undefined || origin === 'operator' || origin === 'configuration';
}

/** Tells whether a person made the account by sign-up and nobody has verified its address. */
export function isUnverifiedSignUp({ origin, emailVerified }: Provenance): boolean {
  return emailVerified === undefined && origin === 'sign-up';
}
