import { type Account, nameProblem, type NameProblem, type NewAccount } from '../accounts/account.ts';
import type { Accounts } from '../accounts/accounts.ts';
import { normaliseEmail } from '../lib/email.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../storage/store.ts';
import { addressBlock, widestBlock } from '../http/address-block.ts';
import type { Caller } from '../limits/lane.ts';
import type { KnownDevices } from './known-device.ts';
import type { PasswordProblem } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import { type DelayRule, openRisingDelay, type RisingDelay } from './rising-delay.ts';

export interface SignUpInput {
  email: string;
  name: string;
  password: string;
  /** The caller's IP address. */
  address: string;
}

export interface SignUpProblems {
  email?: 'not-an-address' | 'email-taken';
  name?: NameProblem;
  password?: PasswordProblem;
}

export type SignUpResult =
  | { outcome: 'signed-up'; account: Account; deviceToken: string }
  | { outcome: 'problems'; problems: SignUpProblems }
  | { outcome: 'wait'; seconds: number };

/** @throws TooBusy, StoreUnavailable */
export type SignUp = (input: SignUpInput) => Promise<SignUpResult>;

/** Limit on sign-ups from one address block. It is generous, because an office or school may share one address. */
const RULE: DelayRule = { name: 'sign-up', free: 20, longest: 600, memory: 3600 };
/** Limit on sign-ups from one IPv6 /48, which many offices or schools may share. */
const SITE_RULE: DelayRule = { ...RULE, name: 'sign-up-site', free: 100 };
/** Limit on submitted forms, valid or not, because each estimate of password strength is work. */
const FORM_RULE: DelayRule = { name: 'sign-up-forms', free: 200, longest: 60, memory: 60 };

/**
 * Signs people up by password. The answer reveals that an email address already has an account. The server sends no
 * email, so there is no other way to inform an owner who has forgotten it, and a second account for the address would
 * lock its owner out. The count per IP address bounds such questions, and each costs a password hash. The duration
 * reveals nothing more, because the server makes the hash before it looks the address up.
 */
export function openSignUp(dependencies: {
  accounts: Accounts;
  passwords: Passwords;
  devices: KnownDevices;
  grants: Store;
  clock: Clock;
  /** Roles of every new account. */
  roles: readonly string[];
}): SignUp {
  const { accounts, passwords, devices, grants, clock, roles } = dependencies;
  const [here, site, forms] = [RULE, SITE_RULE, FORM_RULE].map((rule) => openRisingDelay({ grants, clock, rule })) as [
    RisingDelay,
    RisingDelay,
    RisingDelay,
  ];

  async function wait(address: string): Promise<number> {
    const [block, widest] = [addressBlock(address), widestBlock(address)];
    const pause = Math.max(await here.remaining(block), await site.remaining(widest));
    return pause || (await here.reserve(block)) || (await site.reserve(widest));
  }

  return async ({ address, ...person }) => {
    const caller = { block: widestBlock(address), isKnown: false };
    const pause = await forms.reserve(caller.block);
    if (pause > 0) return { outcome: 'wait', seconds: pause };
    const problems = await problemsOf(person, passwords, caller);
    if (Object.keys(problems).length > 0) return { outcome: 'problems', problems };
    const seconds = await wait(address);
    if (seconds > 0) return { outcome: 'wait', seconds };

    const account = await register({ accounts, passwords }, { ...person, roles, origin: 'sign-up' }, caller);
    if (account === 'email-taken') return { outcome: 'problems', problems: { email: 'email-taken' } };
    const version = (await passwords.versionOf(account.id)) ?? '';
    return { outcome: 'signed-up', account, deviceToken: devices.issue({ account: account.id, version }, undefined) };
  };
}

async function problemsOf(
  person: Omit<SignUpInput, 'address'>,
  passwords: Passwords,
  caller: Caller,
): Promise<SignUpProblems> {
  const email = normaliseEmail(person.email);
  const name = nameProblem(person.name);
  const password = await passwords.problem(person.password, { email: email ?? '', name: person.name }, caller);
  return {
    ...(email === undefined && { email: 'not-an-address' as const }),
    ...(name !== undefined && { name }),
    ...(password !== undefined && { password }),
  };
}

/**
 * Makes an account with its password, and checks no rules. Stores the password first, so that the owner can sign in
 * once the address leads to the account, even after a crash. @throws RangeError if the email is not an address
 */
export async function register(
  dependencies: { accounts: Accounts; passwords: Passwords },
  person: NewAccount & { password: string },
  caller: Caller,
): Promise<Account | 'email-taken'> {
  const { accounts, passwords } = dependencies;
  const { password, ...account } = person;
  const id = accounts.newId();
  await passwords.set(id, password, caller);
  const created = await accounts.create({ ...account, id });
  if (created === 'email-taken') await passwords.remove(id);
  return created;
}
