import type { Account, Accounts } from '../accounts/accounts.ts';
import type { Domain } from '../domain/domain.ts';
import { withDomain, type StoreScene } from './store-scene.ts';

/** Opens the domain for work on one account, named by its address or its id. @returns 1 where there is none */
export function withAccount(
  scene: StoreScene,
  name: string,
  work: (domain: Domain, account: Account) => Promise<number>,
): Promise<number> {
  return withDomain(scene, async (domain) => {
    const account = await findAccount(domain.accounts, name);
    if (account !== undefined) return work(domain, account);
    const list = '"latchkey accounts list" shows all';
    scene.terminal.warn(`latchkey: there is no account ${JSON.stringify(name)} in ${scene.place}; ${list}`);
    return 1;
  });
}

export function findAccount(accounts: Accounts, name: string): Promise<Account | undefined> {
  return name.includes('@') ? accounts.findByEmail(name) : accounts.find(name);
}
