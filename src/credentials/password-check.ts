import type { Account, Accounts } from '../accounts/accounts.ts';
import { widestBlock } from '../http/address-block.ts';
import { normaliseEmail } from '../lib/email.ts';
import type { AccountId } from '../lib/ids.ts';
import { StoreUnavailable } from '../storage/store.ts';
import type { Attempts } from './attempts.ts';
import type { DeviceCredential, KnownDevices } from './known-device.ts';
import type { PasswordAsRead, Passwords } from './passwords.ts';
import { normalisePassword, type PasswordProblem } from './password-rules.ts';

interface PasswordShown {
  email: string;
  password: string;
  /** The caller's IP address. */
  address: string;
  deviceToken?: string | undefined;
}

type PasswordCheckResult =
  | {
      outcome: 'right';
      account: Account;
      deviceToken: string;
      read: PasswordAsRead;
      /** Uncounts the attempt. */
      settle: () => Promise<void>;
    }
  | { outcome: 'refused' }
  | { outcome: 'wait'; seconds: number };

/**
 * @param id the account, if the caller knows it; its address is then not looked up @throws TooBusy, StoreUnavailable
 */
type PasswordCheck = (shown: PasswordShown, id?: AccountId) => Promise<PasswordCheckResult>;

interface PasswordCheckParts {
  accounts: Accounts;
  passwords: Passwords;
  attempts: Attempts;
  devices: KnownDevices;
}

/**
 * Refuses a flood before the form is read, from this node's memory alone. A caller with a cookie of a known browser
 * passes, because only the account shows whether it counts. @returns seconds to wait, or 0. @throws TooBusy
 */
export type AdmitAttempt = (who: Pick<PasswordShown, 'address' | 'deviceToken'>) => number;

export function openAdmission({ passwords, attempts, devices }: PasswordCheckParts): AdmitAttempt {
  return ({ address, deviceToken }) => {
    if (devices.browser(deviceToken) !== undefined) return 0;
    const pause = attempts.blockPause(address);
    if (pause === 0) passwords.assertRoom({ block: widestBlock(address), isKnown: false });
    return pause;
  };
}

/**
 * Checks a presented password. A wrong password, an unknown address and a disabled account get the same answer for the
 * same work, and their attempts are counted alike. The password record is read once, before the attempt is counted. A
 * session that begins by a password that is being replaced counts from the start of its request, so it ends too.
 */
export function openPasswordCheck(parts: PasswordCheckParts): PasswordCheck {
  const { passwords, attempts, devices } = parts;

  return async ({ password, address, deviceToken, ...shown }, id) => {
    const email = normaliseEmail(shown.email);
    // No account can have such an address, so there is nothing to hide.
    if (email === undefined) return { outcome: 'refused' };
    const unknown = { block: widestBlock(address), account: email, isKnown: false };
    // A flood without room causes no work for the store.
    if (devices.browser(deviceToken) === undefined) passwords.assertRoom(unknown);
    const { found, read, credential } = await look(parts, email, id);
    const knownDevice = devices.verify(deviceToken, credential);
    const { wait, counted } = await attempts.check({ email, address, knownDevice, version: credential.version });
    if (wait > 0) return { outcome: 'wait', seconds: wait };

    const account = found?.disabledAt === undefined ? found : undefined;
    const caller = { ...unknown, isKnown: knownDevice !== undefined && !counted.isDistrusted };
    const verdict = await passwords.verify(account?.id, password, caller, read).catch(async (error: unknown) => {
      // A caller refused because the server was too busy must not have to wait afterwards as well.
      await attempts.notMade(counted);
      throw error;
    });
    if (verdict === 'wrong' || account === undefined) return { outcome: 'refused' };
    const settle = (): Promise<void> => attempts.succeeded(counted);
    return { outcome: 'right', account, deviceToken: devices.issue(credential, knownDevice), read, settle };
  };
}

interface Found {
  found: Account | undefined;
  read: PasswordAsRead;
  /** No token was ever issued for an empty version. */
  credential: DeviceCredential;
}

/** Reads as often for an unknown address as for a known one. */
async function look(
  { accounts, passwords }: PasswordCheckParts,
  email: string,
  id: AccountId | undefined,
): Promise<Found> {
  if (id === undefined) {
    const found = await accounts.findByEmail(email);
    return asFound(found, await passwords.read(found?.id));
  }
  const [account, read] = await Promise.all([accounts.find(id), passwords.read(id)]);
  // Attempts are counted by address, so it must be the account's address.
  return asFound(account?.email === email ? account : undefined, read);
}

function asFound(found: Account | undefined, read: PasswordAsRead): Found {
  return { found, read, credential: { account: found?.id ?? '', version: read.version ?? '' } };
}

export type SignInResult =
  | { outcome: 'signed-in'; account: Account; deviceToken: string }
  | { outcome: 'refused' }
  | { outcome: 'wait'; seconds: number };

/** @throws TooBusy, StoreUnavailable */
export type SignIn = (shown: PasswordShown) => Promise<SignInResult>;

/** Signs people in by password. */
export function openSignIn(parts: PasswordCheckParts): SignIn {
  const check = openPasswordCheck(parts);
  return async (shown) => {
    const checked = await check(shown);
    if (checked.outcome !== 'right') return checked;
    await checked.settle();
    const { account, deviceToken } = checked;
    return { outcome: 'signed-in', account, deviceToken };
  };
}

export interface PasswordChange {
  account: Account;
  current: string;
  next: string;
  /** True if both copies of the new password match. If they do not, nothing changes and every problem is reported. */
  isAgreed: boolean;
  /** The caller's IP address. */
  address: string;
  deviceToken?: string | undefined;
  /** Changes the password by `store`, and ends the sessions and grants of the old password. */
  replace: (store: () => Promise<void>) => Promise<void>;
}

/** The problem with each of the two passwords. */
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
 * Changes a password for its owner, who must enter the current one as at a sign-in: an open browser alone must not be
 * enough, and must not become a place to guess. Of the known devices only this one stays known.
 */
export function openChangePassword(parts: {
  check: PasswordCheck;
  passwords: Passwords;
  devices: KnownDevices;
}): ChangePassword {
  const { check, passwords, devices } = parts;
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
    // If the store fails to clear the attempt, the password change stands, and the attempt counts for a while.
    await Promise.all([replace(noteStored), settle().catch(onlyStoreUnavailable)]);
    // An operator has set another password meanwhile, perhaps because this one leaked.
    if (!change.isStored) return { outcome: 'problems', problems: { current: 'wrong' } };
    return { outcome: 'changed', deviceToken: devices.issue({ account: account.id, version }, undefined) };
  };
}

function onlyStoreUnavailable(error: unknown): void {
  if (!(error instanceof StoreUnavailable)) throw error;
}
