import type { Account, Accounts } from '../accounts/accounts.ts';
import { normaliseEmail } from '../accounts/email.ts';
import { nameProblem, type NameProblem } from '../accounts/name.ts';
import type { Clock } from '../lib/clock.ts';
import type { Store } from '../storage/store.ts';
import { addressBlock } from '../http/address-block.ts';
import type { KnownDevices } from './known-device.ts';
import type { PasswordProblem } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import { register } from './register.ts';
import { type DelayRule, openRisingDelay } from './rising-delay.ts';

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

/** Generous, for a whole office or school may share one address. */
const RULE: DelayRule = { name: 'sign-up', free: 20, longest: 600, memory: 3600 };

/**
 * Signing up by password. It says when an address has an account already: without a mail channel there is no other way
 * to tell an owner who has forgotten, and an account opened for a taken address would lock its owner out. What that
 * gives away is bounded by the count per address, and costs the asker a password hash each time. The duration tells
 * nothing more: the hash is made before the address is looked up.
 */
export function openSignUp(parts: {
  accounts: Accounts;
  passwords: Passwords;
  devices: KnownDevices;
  grants: Store;
  clock: Clock;
  /** Given to every new account. */
  roles: readonly string[];
}): SignUp {
  const { accounts, passwords, devices, roles } = parts;
  const attempts = openRisingDelay({ grants: parts.grants, clock: parts.clock, rule: RULE });

  return async ({ address, ...person }) => {
    const problems = problemsOf(person, passwords);
    if (Object.keys(problems).length > 0) return { outcome: 'problems', problems };
    const block = addressBlock(address);
    const seconds = (await attempts.remaining(block)) || (await attempts.reserve(block));
    if (seconds > 0) return { outcome: 'wait', seconds };

    const account = await register({ accounts, passwords }, { ...person, roles });
    if (account === 'email-taken') return { outcome: 'problems', problems: { email: 'email-taken' } };
    return { outcome: 'signed-up', account, deviceToken: devices.issue(account.email, undefined) };
  };
}

function problemsOf(person: Omit<SignUpInput, 'address'>, passwords: Passwords): SignUpProblems {
  const email = normaliseEmail(person.email);
  const name = nameProblem(person.name);
  const password = passwords.problem(person.password, { email: email ?? '', name: person.name });
  return {
    ...(email === undefined && { email: 'not-an-address' as const }),
    ...(name !== undefined && { name }),
    ...(password !== undefined && { password }),
  };
}
