import { openAccounts } from '../accounts/accounts.ts';
import { openConsents } from '../accounts/consents.ts';
import type { Config } from '../config/schema.ts';
import type { Revoke } from '../events/revocations.ts';
import { openPasswords, type Passwords } from '../credentials/passwords.ts';
import { openIssuers } from '../issuers/issuers.ts';
import { systemClock } from '../lib/clock.ts';
import { systemRandom } from '../lib/random.ts';
import { grantLife } from '../oidc/lifetimes.ts';
import { openEndings, type Endings } from '../revocation/endings.ts';
import { Revocations } from '../revocation/revocations.ts';
import { openTokens } from '../revocation/tokens.ts';
import type { Stores } from '../storage/open-stores.ts';
import type { Store } from '../storage/store.ts';
import { clientsOf } from './clients-scene.ts';
import type { Terminal } from './command.ts';
import { withStores } from './store-scene.ts';

/** What a command ends has ended when it returns, on every node, whether or not one runs. @throws StoreUnavailable */
export function withEndings<T>(config: Config, terminal: Terminal, work: (endings: Endings) => Promise<T>): Promise<T> {
  return withStores(config, terminal, (stores) => work(endingsOf(config, stores)));
}

export function endingsOf(config: Config, { records, grants }: Pick<Stores, 'records' | 'grants'>): Endings {
  const [clock, random] = [systemClock, systemRandom];
  const accounts = openAccounts({ records, clock, random });
  return openEndings({
    accounts,
    revoke: revokeOf(config, { records, grants }),
    clients: clientsOf(config, records),
    consents: openConsents(records),
    issuers: openIssuers({ records, configured: config.trusted_issuers }),
    passwords: passwordsOf(config, records),
  });
}

export function passwordsOf({ passwords, branding }: Config, records: Store): Passwords {
  const { argon2, min_length: minLength } = passwords;
  return openPasswords({ records, clock: systemClock, argon2, minLength, service: branding.name });
}

/** The one way in which anything is taken back, on the stores alone. */
export function revokeOf(config: Config, { records, grants }: Pick<Stores, 'records' | 'grants'>): Revoke {
  const [clock, random] = [systemClock, systemRandom];
  const { revoke } = new Revocations({
    ...{ grants, clock, random },
    accounts: openAccounts({ records, clock, random }),
    clients: clientsOf(config, records),
    tokens: openTokens({ grants, clock, issuer: config.issuer }),
    cutLife: grantLife(config.tokens),
  });
  return revoke;
}
