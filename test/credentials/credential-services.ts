import { type Accounts, openAccounts } from '../../src/accounts/accounts.ts';
import { type Attempts, openAttempts } from '../../src/credentials/attempts.ts';
import { type KnownDevices, openKnownDevices } from '../../src/credentials/known-device.ts';
import { openPasswords, type Passwords } from '../../src/credentials/passwords.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { Store } from '../../src/storage/store.ts';

export interface CredentialServices {
  accounts: Accounts;
  passwords: Passwords;
  attempts: Attempts;
  devices: KnownDevices;
}

/** What signing in and up are made of, over one store, with hashes that cost next to nothing. */
export function openCredentialServices(store: Store, clock: Clock): CredentialServices {
  const argon2 = { memory_kib: 64, passes: 2, parallelism: 1 };
  return {
    accounts: openAccounts({ records: store, clock, random: systemRandom }),
    passwords: openPasswords({
      records: store,
      clock,
      random: systemRandom,
      argon2,
      minLength: 15,
      service: 'Latchkey',
    }),
    attempts: openAttempts({ grants: store, clock, key: Buffer.alloc(32) }),
    devices: openKnownDevices({ key: 'k'.repeat(32), clock, random: systemRandom }),
  };
}
