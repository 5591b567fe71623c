import type { Account, Accounts } from './accounts.ts';

/**
 * All accounts, the oldest first: a page at a time, since there may be more than fit into memory.
 * @param limit how many make a page
 */
export async function* everyAccount(accounts: Pick<Accounts, 'list'>, limit = 100): AsyncGenerator<Account[]> {
  let after: string | undefined;
  do {
    const page = await accounts.list({ limit, ...(after !== undefined && { after }) });
    yield page.accounts;
    after = page.next;
  } while (after !== undefined);
}
