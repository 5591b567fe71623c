import type { Account } from '../../accounts/account.ts';
import type { Accounts } from '../../accounts/accounts.ts';
import { AccountUnreadable } from '../../accounts/sealing.ts';
import type { Domain } from '../../domain/domain.ts';
import type { AccountId } from '../../lib/ids.ts';
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
    return account === undefined ? absent(context, name) : work(domain, account);
  });
}

/**
 * Opens the domain to remove an account. An account that cannot be opened, or whose person is erased already, is named by
 * its id.
 */
export function withAccountToRemove(
  context: StoreContext,
  name: string,
  work: (domain: Domain, account: { id: AccountId; email: string | undefined }) => Promise<number>,
): Promise<number> {
  return withDomain(context, async (domain) => {
    const account = await findAccount(domain.accounts, name).catch((error: unknown) => {
      if (error instanceof AccountUnreadable && error.account === name) return undefined;
      throw error;
    });
    if (account !== undefined) return work(domain, account);
    const isThere = !name.includes('@') && (await domain.accounts.exists(name));
    return isThere ? work(domain, { id: name as AccountId, email: undefined }) : absent(context, name);
  });
}

function absent({ place, terminal }: StoreContext, name: string): number {
  const list = '"latchkey accounts list" shows all';
  terminal.warn(`latchkey: there is no account ${JSON.stringify(name)} in ${place}; ${list}`);
  return 1;
}

export function findAccount(accounts: Accounts, name: string): Promise<Account | undefined> {
  return name.includes('@') ? accounts.findByEmail(name) : accounts.find(name);
}
