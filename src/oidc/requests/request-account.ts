import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Account } from '../../accounts/account.ts';
import type { Accounts } from '../../accounts/accounts.ts';

/** Finds an account that is not disabled. It reads each account once per request, however often the engine asks. */
export type AccountOf = (context: KoaContextWithOIDC, id: string) => Promise<Account | undefined>;

export function accountLookup(accounts: Accounts): AccountOf {
  const lookups = new WeakMap<KoaContextWithOIDC, Map<string, Promise<Account | undefined>>>();
  return (context, id) => {
    const known = lookups.get(context) ?? new Map<string, Promise<Account | undefined>>();
    lookups.set(context, known);
    const lookup = known.get(id) ?? findEnabled(accounts, id);
    known.set(id, lookup);
    return lookup;
  };
}

async function findEnabled(accounts: Accounts, id: string): Promise<Account | undefined> {
  const account = await accounts.find(id);
  return account?.disabledAt === undefined ? account : undefined;
}
