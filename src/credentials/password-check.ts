import type { Account, Accounts } from '../accounts/accounts.ts';
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
      /** Uncounts the attempt. */
      settle: () => Promise<void>;
    }
  | { outcome: 'refused' }
  | { outcome: 'wait'; seconds: number };

/**
 * @param id the account, if the caller knows it; its address is then not looked up @throws TooBusy, StoreUnavailable
 */
export type PasswordCheck = (shown: PasswordShown, id?: AccountId) => Promise<PasswordCheckResult>;

interface PasswordCheckDependencies {
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
 * same work, and their attempts are counted alike. The password record is read once, before the attempt is counted. A
 * session that begins by a password that is being replaced counts from the start of its request, so it ends too.
 */
export function openPasswordCheck(parts: PasswordCheckDependencies): PasswordCheck {
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
  { accounts, passwords }: PasswordCheckDependencies,
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
export function openSignIn(parts: PasswordCheckDependencies): SignIn {
  const check = openPasswordCheck(parts);
  return async (shown) => {
    const checked = await check(shown);
    if (checked.outcome !== 'right') return checked;
    await checked.settle();
    const { account, deviceToken } = checked;
    return { outcome: 'signed-in', account, deviceToken };
  };
}
