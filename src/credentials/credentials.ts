import type { Accounts } from '../accounts/accounts.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Store } from '../storage/store.ts';
import { openAttempts } from './attempts.ts';
import { openChangePassword, type ChangePassword } from './change-password.ts';
import { openKnownDevices } from './known-device.ts';
import { openPasswords, type Passwords } from './passwords.ts';
import { register } from './register.ts';
import { openSignIn, type SignIn } from './sign-in.ts';
import { openSignUp, type SignUp } from './sign-up.ts';

export interface Credentials {
  signIn: SignIn;
  signUp: SignUp;
  changePassword: ChangePassword;
  passwords: Passwords;
  /** Makes the accounts that the configuration names and that are not there yet. */
  makeSeedAccounts(seeds: Config['accounts']): Promise<void>;
}

/** @param parts.deviceKey signs the tokens of known devices, the same on every node */
export function openCredentials(parts: {
  config: Pick<Config, 'passwords' | 'sign_up' | 'branding'>;
  accounts: Accounts;
  records: Store;
  grants: Store;
  deviceKey: Buffer;
  clock: Clock;
  random: Random;
}): Credentials {
  const { config, accounts, records, grants, clock, random } = parts;
  const { argon2, min_length: minLength } = config.passwords;
  const passwords = openPasswords({ records, clock, argon2, minLength, service: config.branding.name });
  const devices = openKnownDevices({ key: parts.deviceKey, clock, random });
  const attempts = openAttempts({ grants, clock });
  const signIn = openSignIn({ accounts, passwords, attempts, devices });
  return {
    signIn,
    changePassword: openChangePassword({ signIn, passwords }),
    passwords,
    signUp: openSignUp({ accounts, passwords, devices, grants, clock, roles: config.sign_up.roles }),
    async makeSeedAccounts(seeds) {
      for (const { password, ...person } of seeds) {
        if ((await accounts.findByEmail(person.email)) !== undefined) continue;
        await register({ accounts, passwords }, { ...person, password: password.reveal() });
      }
    },
  };
}
