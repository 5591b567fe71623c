import type { AccountId } from '../lib/ids.ts';
import type { Accounts } from './accounts.ts';

/** Iterates over the ids of all accounts, the oldest first. It opens no account. */
export async function* everyAccountId(accounts: Pick<Accounts, 'ids'>): AsyncGenerator<AccountId[]> {
  for await (const { ids } of everyPage((page) => accounts.ids(page), 100)) yield ids;
}

/**
 * Iterates over pages, because all accounts may not fit into memory.
 * @param read reads one page of accounts
 * @param limit accounts in a page
 */
export async function* everyPage<Page extends { next?: string }>(
  read: (page: { after?: string; limit: number }) => Promise<Page>,
  limit: number,
): AsyncGenerator<Page> {
  let after: string | undefined;
  do {
    const page = await read({ limit, ...(after !== undefined && { after }) });
    yield page;
    after = page.next;
  } while (after !== undefined);
}
