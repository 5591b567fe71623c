import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import type { Account } from '../accounts/account.ts';
import type { Accounts } from '../accounts/accounts.ts';
import type { Csrf } from '../http/csrf.ts';
import type { AnsweredForms, SentForm } from '../forms/answered-forms.ts';
import { readForm, type Form } from '../http/request-body.ts';
import { Problem } from '../http/problems.ts';
import { route, unsecured, type Guard, type Route } from '../http/route.ts';
import { goTo } from '../http/view.ts';

/** The person who is signed in to a browser, and the data of their session. */
export interface SignedIn {
  account: Account;
  session: { uid: string; acr: string | undefined; amr: string[] | undefined; authTime: number | undefined };
  /** The purpose of CSRF tokens. It names the account, so that a form fails once another person is signed in. */
  purpose: string;
}

/** Returns the person who is signed in; undefined if nobody is, or if the account is disabled. */
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

export interface PageDependencies {
  provider: Provider;
  accounts: Accounts;
  csrf: Csrf;
  forms: AnsweredForms;
  /** Returns the address that signs a person in and brings them back to a page. */
  signInUrl: (page: string) => string;
}

/** Route of an account page. A person who is not signed in must sign in first. */
export function ownPage(
  { provider, accounts, signInUrl }: PageDependencies,
  path: string,
  show: (context: Context, person: SignedIn) => Promise<void> | void,
): Route {
  return route('GET', path, unsecured, async (context) => {
    const person = await signedIn(provider, accounts, context);
    if (person === undefined) goTo(context, signInUrl(path));
    else await show(context, person);
  });
}

/** Identifies a sent form by its path and its page's token, which all forms of the page share. */
export function sentForm({ path }: Context, form: Form): SentForm {
  return { token: `${path} ${form.get('csrf') ?? ''}`, fields: form };
}

/** Accepts a form that this browser was shown, for the account that is still signed in. @param page the form's page */
export function ownForm(
  { provider, accounts, csrf, signInUrl }: PageDependencies,
  page: string,
): Guard<SignedIn & { form: Form }> {
  return async (context: Context) => {
    const person = await signedIn(provider, accounts, context);
    const form = await readForm(context);
    if (person === undefined)
      throw new Problem('signed-out', 'nobody is signed in', {}, { url: signInUrl(page), label: 'Sign in' });
    if (!csrf.verify(context, person.purpose, form.get('csrf'))) {
      const way = { url: page, label: 'Open the page again' };
      throw new Problem('form-expired', 'the CSRF token is missing, wrong, or from another browser', {}, way);
    }
    return { ...person, form };
  };
}
