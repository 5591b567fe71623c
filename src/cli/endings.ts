import { openAccounts } from '../accounts/accounts.ts';
import { openConsents } from '../accounts/consents.ts';
import type { Config } from '../config/schema.ts';
import type { Revoke } from '../events/revocations.ts';
import { openBreachedPasswords } from '../credentials/breached-passwords.ts';
import { passwordsFor, type Passwords } from '../credentials/passwords.ts';
import { openIssuers } from '../issuers/issuers.ts';
import { systemRandom } from '../lib/random.ts';
import { grantLife } from '../oidc/lifetimes.ts';
import { openEndings, type Endings } from '../revocation/operations.ts';
import { Revocations } from '../revocation/revocations.ts';
import { openTokens } from '../revocation/tokens.ts';
import type { Stores } from '../storage/open-stores.ts';
import { clientsOf } from './clients-scene.ts';
import { withStores, type StoreScene } from './store-scene.ts';

/** What a command ends has ended when it returns, on every node, whether or not one runs. @throws StoreUnavailable */
export function withEndings<T>(
  scene: Pick<StoreScene, 'chosen' | 'terminal'>,
  work: (endings: Endings) => Promise<T>,
): Promise<T> {
  return withStores(scene, (stores) => work(endingsOf(scene.chosen.config, stores)));
}

export function endingsOf(
  config: Config,
  { records, grants, clock }: Pick<Stores, 'records' | 'grants' | 'clock'>,
): Endings {
  const random = systemRandom;
  const accounts = openAccounts({ records, clock, random });
  return openEndings({
    accounts,
    revoke: revokeOf(config, { records, grants, clock }),
    clients: clientsOf(config, records),
    consents: openConsents(records),
    issuers: openIssuers({ records, configured: config.trusted_issuers }),
    passwords: passwordsOf(config, { records, clock }),
  });
}

export function passwordsOf(config: Config, { records, clock }: Pick<Stores, 'records' | 'clock'>): Passwords {
  const { passwords, outgoing } = config;
  const isBreached = openBreachedPasswords(passwords.breached ?? {}, { ...outgoing, reportFailure: () => undefined });
  return passwordsFor(config, { records, clock, random: systemRandom, isBreached });
}

/** Opens the revocations on the stores alone. */
export function revokeOf(
  config: Config,
  { records, grants, clock }: Pick<Stores, 'records' | 'grants' | 'clock'>,
): Revoke {
  const random = systemRandom;
  const { revoke } = new Revocations({
    ...{ grants, clock, random },
    accounts: openAccounts({ records, clock, random }),
    clients: clientsOf(config, records),
    tokens: openTokens({ grants, clock, issuer: config.issuer }),
    cutLife: grantLife(config.tokens),
  });
  return revoke;
}
