import type { Accounts } from '../accounts/accounts.ts';
import { AccountUnreadable } from '../accounts/sealing.ts';
import { ConfigError, pathText, type Problem } from '../config/problems.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Store } from '../storage/store.ts';
import { openAttempts } from './attempts.ts';
import { type AdmitAttempt, openAdmission, openPasswordCheck, openSignIn, type SignIn } from './password-check.ts';
import { openChangePassword, type ChangePassword } from './change-password.ts';
import { openKnownDevices } from './known-device.ts';
import { OPERATOR } from '../limits/lane.ts';
import { passwordWords } from './password-rules.ts';
import type { Passwords, PasswordSettings } from './passwords.ts';
import { register, openSignUp, type SignUp } from './sign-up.ts';

export interface Credentials {
  signIn: SignIn;
  /** Called before a sign-in form is read. */
  admitAttempt: AdmitAttempt;
  signUp: SignUp;
  changePassword: ChangePassword;
  /** Returns the id of the browser from its device token, if anybody has ever signed in there. */
  knownBrowser: (token: string | undefined) => string | undefined;
  /**
   * Makes the accounts of the configuration that do not exist yet. @param skipped receives an existing account that cannot
   * be read, so that it stops no start. @throws ConfigError that names each account whose password is too easy to guess
   */
  makeSeedAccounts(seeds: Config['accounts'], skipped: (error: AccountUnreadable) => void): Promise<void>;
}

/** Largest number of accounts whose hashes the server reads at its start. */
const COST_SAMPLE = 2000;

interface CredentialsOptions {
  config: PasswordSettings & Pick<Config, 'sign_up'>;
  accounts: Accounts;
  passwords: Passwords;
  grants: Store;
  clock: Clock;
  random: Random;
  /** Key for the tokens of known devices, the same on every node. */
  deviceKey: Buffer;
  /** Key for the hashes of addresses at which somebody tries to sign in, the same on every node. */
  attemptKey: Buffer;
}

export function openCredentials(options: CredentialsOptions): Credentials {
  const { config, accounts, passwords, grants, clock, random, deviceKey, attemptKey } = options;
  const { min_length: minLength } = config.passwords;
  const devices = openKnownDevices({ key: deviceKey, clock, random });
  const attempts = openAttempts({ grants, clock, key: attemptKey });
  const checking = { accounts, passwords, attempts, devices };
  return {
    signIn: openSignIn(checking),
    admitAttempt: openAdmission(checking),
    changePassword: openChangePassword({ check: openPasswordCheck(checking), passwords, devices }),
    knownBrowser: (token) => devices.browser(token),
    signUp: openSignUp({ accounts, passwords, devices, grants, clock, roles: config.sign_up.roles }),
    async makeSeedAccounts(seeds, skipped) {
      const { accounts: oldest, next } = await accounts.list({ limit: COST_SAMPLE });
      const ids = oldest.map(({ id }) => id);
      await passwords.learnCosts(ids, next === undefined);
      const seeding = { accounts, passwords, minLength, isDemo: config.isDemo === true };
      const faults: Problem[] = [];
      for (const [index, seed] of seeds.entries()) {
        const fault = await makeSeedAccount(seeding, seed).catch((error: unknown) => {
          if (!(error instanceof AccountUnreadable)) throw error;
          skipped(error);
          return undefined;
        });
        if (fault !== undefined) faults.push({ path: pathText(['accounts', index, 'password']), message: fault });
      }
      if (faults.length > 0) throw new ConfigError('the configuration', faults);
    },
  };
}

/**
 * Makes an account of the configuration. An existing account stays as it is, except for fields that an earlier version
 * did not record. @returns the problem with the password of a new account
 */
async function makeSeedAccount(
  dependencies: { accounts: Accounts; passwords: Passwords; minLength: number; isDemo: boolean },
  { password, email_verified: isVerified, ...person }: Config['accounts'][number],
): Promise<string | undefined> {
  const { accounts, passwords, minLength } = dependencies;
  const origin = 'configuration';
  const found = await accounts.findByEmail(person.email);
  if (found === undefined) {
    // The demo accepts its published password, because other machines cannot reach the demo.
    const problem = dependencies.isDemo ? undefined : await passwords.problem(password.reveal(), person, OPERATOR);
    if (problem !== undefined) return `cannot be used for ${person.email}. ${passwordWords(minLength)[problem]}`;
    const vouched = isVerified ? ({ emailVerifiedBy: origin } as const) : {};
    await register(dependencies, { ...person, ...vouched, origin, password: password.reveal() }, OPERATOR);
    return undefined;
  }
  // A person who signed up with the address first may not be the one whom the configuration means.
  if (found.origin === 'sign-up') return undefined;
  if (found.origin === undefined) await accounts.claimForConfiguration(found.id);
  if (isVerified && found.emailVerified === undefined) await accounts.verifyEmail(found.id, origin);
  return undefined;
}
