import { openAccounts, type Account, type Accounts } from '../accounts/accounts.ts';
import { openConsents, type Consents } from '../accounts/consents.ts';
import type { Config } from '../config/schema.ts';
import type { Passwords } from '../credentials/passwords.ts';
import type { Clock } from '../lib/clock.ts';
import { newId } from '../lib/ids.ts';
import { systemRandom } from '../lib/random.ts';
import type { Endings } from '../revocation/operations.ts';
import { openSignals, type Signals } from '../signals/signals.ts';
import type { Stores } from '../storage/open-stores.ts';
import type { Store } from '../storage/store.ts';
import { clientsOf } from './clients-scene.ts';
import { endingsOf, passwordsOf } from './endings.ts';
import { withStores, type StoreScene } from './store-scene.ts';

/** The people of the store, as the server has them. */
export interface People {
  accounts: Accounts;
  passwords: Passwords;
  consents: Consents;
  endings: Endings;
  /** For changes that revoke nothing, but that receivers of shared signals hear of. */
  signals: Signals;
  grants: Store;
  clock: Clock;
}

/** Opens the accounts for one piece of work. @throws StoreUnavailable */
export function withPeople<T>(scene: StoreScene, work: (people: People) => Promise<T>) {
  return withStores(scene, (stores) => work(peopleOf(scene.chosen.config, stores)));
}

export function peopleOf(config: Config, stores: Stores): People {
  const { records, grants, clock } = stores;
  const random = systemRandom;
  const consents = openConsents(records);
  const clients = clientsOf(config, records);
  return {
    grants,
    clock,
    signals: openSignals({ ...stores, config, clients, consents, random, announce: () => undefined }),
    accounts: openAccounts({ records, clock, random }),
    passwords: passwordsOf(config, stores),
    consents,
    endings: endingsOf(config, stores),
  };
}

/** Tells receivers of shared signals what an administrator did to an account. */
export async function tell(
  { signals, clock }: Pick<People, 'signals' | 'clock'>,
  account: Account,
  what: { type: 'account-enabled' } | { type: 'token-claims-change'; claims: { roles: readonly string[] } },
): Promise<void> {
  const reason = what.type === 'account-enabled' ? 'The account was enabled' : 'A role was given';
  const [id, at] = [newId('occ', clock, systemRandom), clock.now()];
  await signals.publish({ ...what, id, at, account: account.id, initiatedBy: 'admin', reason });
}

/** The same for the work on one account, named by its address or its id. @returns 1 where there is none */
export function withAccount(
  scene: StoreScene,
  name: string,
  work: (people: People, account: Account) => Promise<number>,
): Promise<number> {
  return withPeople(scene, async (people) => {
    const account = await findAccount(people, name);
    if (account !== undefined) return work(people, account);
    const list = '"latchkey accounts list" shows all';
    scene.terminal.warn(`latchkey: there is no account ${JSON.stringify(name)} in ${scene.place}; ${list}`);
    return 1;
  });
}

export function findAccount({ accounts }: Pick<People, 'accounts'>, name: string): Promise<Account | undefined> {
  return name.includes('@') ? accounts.findByEmail(name) : accounts.find(name);
}
