import { createSecretKey, type KeyObject } from 'node:crypto';
import { hmacSha256, sha256 } from '../lib/hash.ts';
import type { Random } from '../lib/random.ts';
import { openFor, sealFor } from '../lib/seal.ts';
import type { Account } from './account.ts';

/** Members of a stored account that are no personal data. Every other member is sealed, also one that is added later. */
const CLEAR = ['id', 'roles', 'createdAt', 'updatedAt', 'disabledAt', 'origin', 'emailVerified'] as const;

export type ClearMembers = Pick<Account, (typeof CLEAR)[number]>;

/** An account as a store of format 2 holds it. */
export interface SealedAccount extends ClearMembers {
  /** The id of the record that maps the address to the account. */
  claim: string;
  /** The other members of the account, under its own key. Absent once the person is erased. */
  sealed?: string;
  /** The time at which the erasure of the person began. */
  erasedAt?: number;
}

/** An account as a store holds it: format 1 has the account itself. */
export type StoredAccount = Account | SealedAccount;

/** Thrown if personal data of an account cannot be opened. Other accounts are not affected. */
export class AccountUnreadable extends Error {
  override name = 'AccountUnreadable';
  readonly account: string;

  constructor(account: string, reason: string, options?: ErrorOptions) {
    super(`the personal data of account ${account} cannot be opened: ${reason}`, options);
    this.account = account;
  }
}

export function isSealed(stored: StoredAccount): stored is SealedAccount {
  return 'claim' in stored;
}

/** The length in bytes to a multiple of which personal data is padded, so that its length says little. */
const BLOCK = 32;
/** Hexadecimal digits of a term. Two words may have the same one, because a search checks the accounts that it finds. */
const TERM = 13;

/** Seals the personal data of accounts, and computes keyed hashes of it by which accounts are found. */
export class AccountCipher {
  readonly #wrapping: KeyObject;
  readonly #addresses: Buffer;
  readonly #words: Buffer;
  readonly #subjects: Buffer;
  readonly #random: Random;

  /** @param derive derives 32 bytes for a label from the root of the key ring, which no rotation changes */
  constructor(derive: (label: string) => Buffer, random: Random) {
    this.#wrapping = createSecretKey(derive('account keys'));
    this.#addresses = derive('account addresses');
    this.#words = derive('account search');
    this.#subjects = derive('account subjects');
    this.#random = random;
  }

  newKey(account: string): { key: KeyObject; wrapped: string } {
    const bytes = this.#random.bytes(32);
    return { key: createSecretKey(bytes), wrapped: sealFor(wrapping(account), this.#wrapping, bytes, this.#random) };
  }

  /** @throws AccountUnreadable */
  unwrap(account: string, wrapped: string): KeyObject {
    try {
      return createSecretKey(openFor(wrapping(account), this.#wrapping, wrapped));
    } catch (cause) {
      throw new AccountUnreadable(account, 'its key is of another key ring or account, or was altered', { cause });
    }
  }

  seal(account: Account, key: KeyObject): SealedAccount {
    const claim = this.claim(account.email);
    const entries = Object.entries(account);
    const clear = entries.filter(([name]) => isClear(name));
    const text = JSON.stringify(Object.fromEntries(entries.filter(([name]) => !isClear(name))));
    const bytes = Buffer.from(text);
    const padded = Buffer.concat([bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK, ' ')]);
    const sealed = sealFor(person(account.id, claim), key, padded, this.#random);
    return { ...(Object.fromEntries(clear) as ClearMembers), claim, sealed };
  }

  /** @throws AccountUnreadable */
  open(id: string, { claim, sealed = '', ...clear }: SealedAccount, key: KeyObject): Account {
    try {
      const { email, name, ...rest } = JSON.parse(openFor(person(id, claim), key, sealed).toString('utf8')) as Account;
      return { ...clear, ...rest, email, name };
    } catch (cause) {
      throw new AccountUnreadable(id, 'it was sealed for another account, or was altered', { cause });
    }
  }

  /** Returns the id of the record that maps an address to its account. @param email normalised */
  claim(email: string): string {
    return hmacSha256(this.#addresses, plainClaim(email));
  }

  /** Returns the id of the record that links a trusted issuer's subject to its account. @param hash of both */
  subject(hash: string): string {
    return hmacSha256(this.#subjects, hash);
  }

  /** Returns the keyed hash of the beginning of a word: the last part of an order's name, a colon, and the rest. */
  term(beginning: string): string {
    const hash = Buffer.from(hmacSha256(this.#words, beginning), 'base64url').toString('hex').slice(0, TERM);
    return `${hash.slice(0, 1)}:${hash.slice(1)}`;
  }
}

/** Returns the id of the record that maps an address to its account in a store of format 1. */
export function plainClaim(email: string): string {
  return sha256(email);
}

function isClear(name: string): boolean {
  return (CLEAR as readonly string[]).includes(name);
}

function wrapping(account: string): string {
  return `account key\n${account}`;
}

function person(account: string, claim: string): string {
  return `account\n${account}\n${claim}`;
}
