import type { Account } from '../accounts/account.ts';
import type { Accounts } from '../accounts/accounts.ts';
import { widestBlock } from '../http/address-block.ts';
import { normaliseEmail } from '../lib/email.ts';
import type { AccountId } from '../lib/ids.ts';
import type { Attempts } from './attempts.ts';
import type { DeviceCredential, KnownDevices } from './known-device.ts';
import type { PasswordAsRead, Passwords } from './passwords.ts';

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
      /** Records that the attempt succeeded, so that it no longer counts. */
      settle: () => Promise<void>;
    }
  | { outcome: 'refused' }
  | { outcome: 'wait'; seconds: number };

/**
 * Checks a presented password. @param id the account, if the caller knows it; the email address is then not looked up
 * @throws TooBusy, StoreUnavailable
 */
export type PasswordCheck = (shown: PasswordShown, id?: AccountId) => Promise<PasswordCheckResult>;

interface PasswordCheckDependencies {
  accounts: Accounts;
  passwords: Passwords;
  attempts: Attempts;
  devices: KnownDevices;
}

/**
 * Refuses a flood before the form is read, from this node's memory alone. A caller with a known browser's cookie
 * passes, because only the account shows whether the cookie is valid for it. @returns seconds to wait, or 0. @throws
 * TooBusy
 */
export type AdmitAttempt = (who: Pick<PasswordShown, 'address' | 'deviceToken'>) => number;

export function openAdmission({ passwords, attempts, devices }: PasswordCheckDependencies): AdmitAttempt {
  return ({ address, deviceToken }) => {
    if (devices.browser(deviceToken) !== undefined) return 0;
    const pause = attempts.blockPause(address);
    if (pause === 0) passwords.assertRoom({ block: widestBlock(address), isKnown: false });
    return pause;
  };
}

/**
 * Checks a presented password. A wrong password, an unknown address and a disabled account get the same answer for the
 * same work, and their attempts are counted alike. The password record is read once, before the attempt is counted. If
 * the password is replaced during the sign-in, the new session ends too, because it counts from the start of its
 * request.
 */
export function openPasswordCheck(dependencies: PasswordCheckDependencies): PasswordCheck {
  const { passwords, attempts, devices } = dependencies;

  return async ({ password, address, deviceToken, ...shown }, id) => {
    const email = normaliseEmail(shown.email);
    // No account can have such an address, so there is nothing to hide.
    if (email === undefined) return { outcome: 'refused' };
    const unknown = { block: widestBlock(address), account: email, isKnown: false };
    // Refuses a flood before it causes any work for the store.
    if (devices.browser(deviceToken) === undefined) passwords.assertRoom(unknown);
    const { found, read, credential } = await look(dependencies, email, id);
    const knownDevice = devices.verify(deviceToken, credential);
    const { wait, counted } = await attempts.check({ email, address, knownDevice, version: credential.version });
    if (wait > 0) return { outcome: 'wait', seconds: wait };

    const account = found?.disabledAt === undefined ? found : undefined;
    const caller = { ...unknown, isKnown: knownDevice !== undefined && !counted.isDistrusted };
    const verdict = await passwords.verify(account?.id, password, caller, read).catch(async (error: unknown) => {
      // If the server was too busy to check, the attempt does not count, so that the caller need not wait afterwards as
      // well.
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
  /**
   * The credential that a device token must match. Without an account, its version is empty, and no token was ever
   * issued for an empty version.
   */
  credential: DeviceCredential;
}

/** Reads the account and its password, with as many reads for an unknown address as for a known one. */
async function look(
  { accounts, passwords }: PasswordCheckDependencies,
  email: string,
  id: AccountId | undefined,
): Promise<Found> {
  if (id === undefined) {
    const found = await accounts.findByEmail(email);
    return asFound(found, await passwords.read(found?.id));
  }
  const [account, read] = await Promise.all([accounts.find(id), passwords.read(id)]);
  // Attempts are counted by email address, so the given address must be the account's.
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
export function openSignIn(dependencies: PasswordCheckDependencies): SignIn {
  const check = openPasswordCheck(dependencies);
  return async (shown) => {
    const checked = await check(shown);
    if (checked.outcome !== 'right') return checked;
    await checked.settle();
    const { account, deviceToken } = checked;
    return { outcome: 'signed-in', account, deviceToken };
  };
}
