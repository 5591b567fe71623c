import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import type { Account, Accounts } from '../accounts/accounts.ts';

/** The person who is signed in in a browser, and how they signed in. */
export interface SignedIn {
  account: Account;
  session: { uid: string; acr: string | undefined; amr: string[] | undefined; authTime: number | undefined };
  /** The purpose of a form, so that none is taken once another person is signed in. */
  purpose: string;
}

/** @returns nothing where nobody is, or their account may not be used */
export async function signedIn(
  provider: Provider,
  accounts: Accounts,
  context: Context,
): Promise<SignedIn | undefined> {
  const session = await provider.Session.get(context);
  const account = session.accountId === undefined ? undefined : await accounts.find(session.accountId);
  if (account === undefined || account.disabledAt !== undefined) return undefined;
  const { acr, amr, uid } = session;
  return {
    account,
    session: { uid, acr, amr, authTime: session.authTime() },
    purpose: `account page ${uid} ${account.id}`,
  };
}
