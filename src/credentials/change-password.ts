import type { Account } from '../accounts/account.ts';
import { widestBlock } from '../http/address-block.ts';
import { StoreUnavailable } from '../storage/store.ts';
import type { KnownDevices } from './known-device.ts';
import type { Passwords } from './passwords.ts';
import { normalisePassword, type PasswordProblem } from './password-rules.ts';
import type { PasswordCheck } from './password-check.ts';

export interface PasswordChange {
  account: Account;
  current: string;
  next: string;
  /** True if both copies of the new password match. If they do not, nothing changes and every problem is reported. */
  isAgreed: boolean;
  /** The caller's IP address. */
  address: string;
  deviceToken?: string | undefined;
  /** Calls `store` to change the password, and ends the sessions and grants of the old password. */
  replace: (store: () => Promise<void>) => Promise<void>;
}

/** The problems with the two passwords. */
interface PasswordChangeProblems {
  current?: 'wrong';
  next?: PasswordProblem | 'same';
}

export type PasswordChangeResult =
  | { outcome: 'changed'; deviceToken: string }
  | { outcome: 'problems'; problems: PasswordChangeProblems }
  | { outcome: 'wait'; seconds: number };

/** @throws TooBusy, StoreUnavailable */
export type ChangePassword = (change: PasswordChange) => Promise<PasswordChangeResult>;

/**
 * Changes a password for its owner, who must enter the current one. An open browser alone is not enough, and guesses
 * are limited as at a sign-in. Of the known devices, only this one stays known.
 */
export function openChangePassword(dependencies: {
  check: PasswordCheck;
  passwords: Passwords;
  devices: KnownDevices;
}): ChangePassword {
  const { check, passwords, devices } = dependencies;
  return async ({ account, current, next, isAgreed, replace, ...caller }) => {
    const shown = await check({ ...caller, email: account.email, password: current }, account.id);
    if (shown.outcome === 'wait') return shown;
    const isRight = shown.outcome === 'right';
    const owner = { block: widestBlock(caller.address), account: account.email, isKnown: isRight };
    const settle = isRight ? shown.settle : () => Promise.resolve();
    const settleAndThrow = async (error: unknown): Promise<never> => {
      await settle();
      throw error;
    };
    const isSame = isRight && normalisePassword(next) === normalisePassword(current);
    const problem = isSame ? 'same' : await passwords.problem(next, account, owner).catch(settleAndThrow);
    if (!isRight || problem !== undefined || !isAgreed) {
      await settle();
      return {
        outcome: 'problems',
        problems: { ...(!isRight && { current: 'wrong' }), ...(problem && { next: problem }) },
      };
    }
    const { version, store } = await passwords.prepare(account.id, next, owner, shown.read).catch(settleAndThrow);
    const change = { isStored: false };
    const noteStored = async (): Promise<void> => {
      change.isStored = await store();
    };
    // If the store fails to clear the attempt, the password change stands, and the attempt stays counted for a while.
    await Promise.all([replace(noteStored), settle().catch(onlyStoreUnavailable)]);
    // An operator has set another password meanwhile, so the new one was not stored.
    if (!change.isStored) return { outcome: 'problems', problems: { current: 'wrong' } };
    return { outcome: 'changed', deviceToken: devices.issue({ account: account.id, version }, undefined) };
  };
}

function onlyStoreUnavailable(error: unknown): void {
  if (!(error instanceof StoreUnavailable)) throw error;
}
