import type { Account, Accounts } from '../accounts/accounts.ts';
import { normaliseEmail } from '../accounts/email.ts';
import type { Attempts } from './attempts.ts';
import type { KnownDevices } from './known-device.ts';
import type { Passwords } from './passwords.ts';

export interface SignInInput {
  email: string;
  password: string;
  /** The caller's IP address. */
  address: string;
  deviceToken?: string | undefined;
}

export type SignInResult =
  | { outcome: 'signed-in'; account: Account; deviceToken: string }
  | { outcome: 'refused' }
  | { outcome: 'wait'; seconds: number };

/** @throws TooBusy, StoreUnavailable */
export type SignIn = (input: SignInInput) => Promise<SignInResult>;

/**
 * Signing in by password. A wrong password, an unknown address and a disabled account get the same answer for the same
 * work, and attempts on each are counted alike.
 */
export function openSignIn(parts: {
  accounts: Accounts;
  passwords: Passwords;
  attempts: Attempts;
  devices: KnownDevices;
}): SignIn {
  const { accounts, passwords, attempts, devices } = parts;

  return async ({ password, address, deviceToken, ...input }) => {
    const email = normaliseEmail(input.email);
    // No account can have it, so there is nothing to hide.
    if (email === undefined) return { outcome: 'refused' };
    const who = { email, address, knownDevice: devices.verify(deviceToken, email) };
    const { wait } = await attempts.check(who);
    if (wait > 0) return { outcome: 'wait', seconds: wait };

    const found = await accounts.findByEmail(email);
    const account = found?.disabledAt === undefined ? found : undefined;
    const verdict = await passwords.verify(account?.id, password).catch(async (error: unknown) => {
      // Whoever came when the server was too busy must not have to wait for that afterwards as well.
      await attempts.notMade(who);
      throw error;
    });
    if (verdict === 'wrong' || account === undefined) return { outcome: 'refused' };
    await attempts.succeeded(who);
    return { outcome: 'signed-in', account, deviceToken: devices.issue(email, who.knownDevice) };
  };
}
