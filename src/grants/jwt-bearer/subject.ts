import {
  type Account,
  type NewAccount,
  nameProblem,
  isOwnersAddress,
  isUnverifiedSignUp,
} from '../../accounts/account.ts';
import type { Accounts } from '../../accounts/accounts.ts';
import { normaliseEmail } from '../../lib/email.ts';
import type { TrustedIssuer } from '../../config/schema.ts';
import { sha256 } from '../../lib/hash.ts';
import type { Members } from './assertion.ts';

/** The account or service that an assertion identifies. */
export type Subject =
  | { is: 'service' }
  | { is: 'account'; account: Account }
  /** An account found by its email address for the first time. It is linked once all checks pass. */
  | { is: 'linkable'; account: Account }
  | NewSubject
  | NoSubject;

interface NewSubject {
  is: 'new';
  email: string;
  name: string;
}

export interface NoSubject {
  is: 'nobody';
  because: 'unlinked' | 'address not proved' | 'address taken' | 'account not vouched for';
}

export interface Subjects {
  /** Finds the subject without changing anything. */
  find(issuer: TrustedIssuer, claims: Members): Promise<Subject>;
  /** Creates or links the account. @returns the account; `undefined` for a service, or if there is no account */
  settle(subject: Subject, issuer: TrustedIssuer, claims: Members): Promise<Account | undefined>;
}

export function openSubjects({ accounts }: { accounts: Accounts }): Subjects {
  const linked = async (issuer: TrustedIssuer, name: string): Promise<Account | undefined> => {
    const email = linkedAddress(issuer, name);
    if (email !== undefined) return accounts.findByEmail(email);
    const linkedTo = await accounts.links.find(nameHash(issuer, name));
    return linkedTo === undefined ? undefined : accounts.find(linkedTo);
  };

  async function find(issuer: TrustedIssuer, claims: Members): Promise<Subject> {
    const { is, match_email: matchesEmail } = issuer.subject;
    if (is === 'service') return { is };
    const name = nameIn(issuer, claims);
    const account = await linked(issuer, name);
    // The operator linked an email address, and a stranger may have signed up with that address meanwhile.
    if (account !== undefined && linkedAddress(issuer, name) !== undefined && isUnverifiedSignUp(account))
      return { is: 'nobody', because: 'account not vouched for' };
    if (account !== undefined) return { is: 'account', account };
    if (is === 'account' && !matchesEmail) return { is: 'nobody', because: 'unlinked' };
    const email = provedEmail(claims);
    if (email === undefined) return { is: 'nobody', because: 'address not proved' };
    const owner = await accounts.findByEmail(email);
    if (owner !== undefined) return ownerOf(owner, issuer, name);
    return is === 'account' ? { is: 'nobody', because: 'unlinked' } : { is: 'new', email, name: nameOf(claims, email) };
  }

  async function settle(subject: Subject, issuer: TrustedIssuer, claims: Members): Promise<Account | undefined> {
    if (subject.is === 'account') return subject.account;
    if (subject.is === 'service' || subject.is === 'nobody') return undefined;
    const made =
      subject.is === 'linkable'
        ? await vouchedFor(subject.account)
        : await accounts.create(newAccount(subject, issuer, claims));
    // Another assertion for the same person was faster, so use the account that it created.
    if (made === 'email-taken') return settleAgain(issuer, claims);
    await accounts.links.set(nameHash(issuer, nameIn(issuer, claims)), made.id);
    return made;
  }

  async function vouchedFor(account: Account): Promise<Account> {
    return (await accounts.verifyEmail(account.id, 'trusted-issuer')) ?? account;
  }

  async function settleAgain(issuer: TrustedIssuer, claims: Members): Promise<Account | undefined> {
    const now = await find(issuer, claims);
    return now.is === 'new' ? undefined : settle(now, issuer, claims);
  }

  return { find, settle };
}

/** Returns the issuer's name for a subject, from the claim that the issuer's subject rule names. */
function nameIn({ subject }: TrustedIssuer, claims: Members): string {
  const name = claims[subject.claim];
  return typeof name === 'string' ? name : '';
}

/**
 * Decides whether the account that has the assertion's email address may be linked. A process may stop after it creates
 * an account and before it stores the link, so the account may have been created for this subject.
 */
function ownerOf(owner: Account, issuer: TrustedIssuer, name: string): Subject {
  const isMadeForThem = owner.madeFor === nameHash(issuer, name);
  if (!isMadeForThem && !issuer.subject.match_email) return { is: 'nobody', because: 'address taken' };
  return isOwnersAddress(owner)
    ? { is: 'linkable', account: owner }
    : { is: 'nobody', because: 'account not vouched for' };
}

function newAccount({ email, name }: NewSubject, issuer: TrustedIssuer, claims: Members): NewAccount {
  const madeFor = nameHash(issuer, nameIn(issuer, claims));
  const { roles } = issuer.subject;
  return { email, name, roles, madeFor, origin: 'trusted-issuer', emailVerifiedBy: 'trusted-issuer' };
}

/** Returns the email address that the operator linked to a subject. */
function linkedAddress({ subject: { links } }: TrustedIssuer, name: string): string | undefined {
  return Object.hasOwn(links, name) ? links[name] : undefined;
}

function nameHash({ issuer }: TrustedIssuer, name: string): string {
  return sha256(JSON.stringify([issuer, name]));
}

/**
 * Returns the email address if the issuer has verified it: `email_verified` must be the boolean true (OpenID Connect
 * Core §5.1).
 */
function provedEmail({ email, email_verified: isVerified }: Members): string | undefined {
  return isVerified === true && typeof email === 'string' ? normaliseEmail(email) : undefined;
}

function nameOf({ name }: Members, email: string): string {
  return typeof name === 'string' && nameProblem(name) === undefined ? name : email;
}
