import type { Account, Accounts } from '../../accounts/accounts.ts';
import type { Domain } from '../../domain/domain.ts';
import { withDomain, type StoreContext } from '../store-context.ts';

/**
 * Opens the domain for a task on one account, named by its email address or its id. @returns the task's exit code, or 1
 * if there is no such account
 */
export function withAccount(
  context: StoreContext,
  name: string,
  work: (domain: Domain, account: Account) => Promise<number>,
): Promise<number> {
  return withDomain(context, async (domain) => {
    const account = await findAccount(domain.accounts, name);
    if (account !== undefined) return work(domain, account);
    const list = '"latchkey accounts list" shows all';
    context.terminal.warn(`latchkey: there is no account ${JSON.stringify(name)} in ${context.place}; ${list}`);
    return 1;
  });
}

export function findAccount(accounts: Accounts, name: string): Promise<Account | undefined> {
  return name.includes('@') ? accounts.findByEmail(name) : accounts.find(name);
}
