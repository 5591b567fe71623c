import { normaliseEmail } from '../lib/email.ts';
import type { AccountId } from '../lib/ids.ts';

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
  /** An id from `Accounts.newId`, if something was stored under it beforehand. */
  id?: AccountId;
  email: string;
  name: string;
  roles: readonly string[];
  origin: AccountOrigin;
  /** Absent if nobody has verified the address. */
  emailVerifiedBy?: EmailVoucher;
  madeFor?: string;
}

export function newAccount(input: NewAccount, id: AccountId, createdAt: number): Account {
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

export function unique(roles: readonly string[]): string[] {
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
export type EmailVoucher = 'operator' | 'configuration' | 'trusted-issuer';

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
