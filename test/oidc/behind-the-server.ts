import type { Account } from '../../src/accounts/account.ts';
import type { Accounts } from '../../src/accounts/accounts.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { accountsOn } from '../support/domain.ts';
import type { TestServer } from '../support/server.ts';

/** Opens the store of a running server beside it, as another node would. */
export function recordsOf(server: TestServer): Promise<Store> {
  return openStore(server.config.stores.records ?? server.config.stores.grants, systemClock);
}

/** Does something to one of a running server's accounts, behind its back. */
export async function withAccount(
  server: TestServer,
  email: string,
  work: (accounts: Accounts, account: Account) => Promise<unknown>,
): Promise<void> {
  const records = await recordsOf(server);
  try {
    const accounts = accountsOn(records, server.directory);
    const account = await accounts.findByEmail(email);
    if (account === undefined) throw new Error(`no account ${email}`);
    await work(accounts, account);
  } finally {
    await records.close();
  }
}
