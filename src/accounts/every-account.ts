import type { Account, Accounts } from './accounts.ts';

/**
 * Iterates over all accounts, the oldest first. Reads one page at a time, because all accounts may not fit into memory.
 * @param limit accounts in a page
 */
export async function* everyAccount(accounts: Pick<Accounts, 'list'>, limit = 100): AsyncGenerator<Account[]> {
  let after: string | undefined;
  do {
    const page = await accounts.list({ limit, ...(after !== undefined && { after }) });
    yield page.accounts;
    after = page.next;
  } while (after !== undefined);
}
