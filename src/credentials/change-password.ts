import type { Account } from '../accounts/accounts.ts';
import { normalisePassword, type PasswordProblem } from './password-rules.ts';
import type { Passwords } from './passwords.ts';
import type { SignIn } from './sign-in.ts';

export interface PasswordChange {
  account: Account;
  current: string;
  next: string;
  /** The caller's IP address. */
  address: string;
  deviceToken?: string | undefined;
}

export type PasswordChangeResult =
  | { outcome: 'changed'; deviceToken: string }
  | { outcome: 'refused' }
  | { outcome: 'problem'; problem: PasswordProblem | 'same' }
  | { outcome: 'wait'; seconds: number };

/** @throws TooBusy, StoreUnavailable */
export type ChangePassword = (change: PasswordChange) => Promise<PasswordChangeResult>;

/**
 * A change by the owner, who shows the present password as at a sign-in: a browser that was left open must not be enough,
 * nor be a place to guess at. What was signed in by the old password is for the caller to end.
 */
export function openChangePassword({ signIn, passwords }: { signIn: SignIn; passwords: Passwords }): ChangePassword {
  return async ({ account, current, next, ...caller }) => {
    const problem = passwords.problem(next, account);
    if (problem !== undefined) return { outcome: 'problem', problem };
    const shown = await signIn({ ...caller, email: account.email, password: current });
    if (shown.outcome === 'wait') return shown;
    if (shown.outcome === 'refused' || shown.account.id !== account.id) return { outcome: 'refused' };
    if (normalisePassword(next) === normalisePassword(current)) return { outcome: 'problem', problem: 'same' };
    await passwords.set(account.id, next);
    return { outcome: 'changed', deviceToken: shown.deviceToken };
  };
}
