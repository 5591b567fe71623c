import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import type { Account, Accounts } from '../accounts/accounts.ts';

/** The person who is signed in in a browser, and how they signed in. */
export interface SignedIn {
  account: Account;
  session: { uid: string; acr: string | undefined; amr: string[] | undefined; authTime: number | undefined };
  /** The form's purpose. It names the account, so that a form is refused once another person is signed in. */
  purpose: string;
}

/** @returns undefined if nobody is signed in, or if the account may not be used */
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
