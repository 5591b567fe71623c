import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import type { Accounts } from '../accounts/accounts.ts';
import type { Csrf } from '../http/csrf.ts';
import { readForm, type Form } from '../http/form.ts';
import { Problem } from '../http/problems.ts';
import { route, unsecured, type Guard, type Route } from '../http/route.ts';
import { goTo } from './show-page.ts';
import { signedIn, type SignedIn } from './signed-in.ts';

export interface Doors {
  provider: Provider;
  accounts: Accounts;
  csrf: Csrf;
}

/** A page that is somebody's own; where nobody is signed in, the page at the root says so. */
export function ownPage(
  { provider, accounts }: Doors,
  path: string,
  show: (context: Context, person: SignedIn) => Promise<void> | void,
): Route {
  return route('GET', path, unsecured, async (context) => {
    const person = await signedIn(provider, accounts, context);
    if (person === undefined) goTo(context, '/');
    else await show(context, person);
  });
}

/** Lets in a form that comes from a page which we showed to this browser, for who is signed in now as then. */
export function ownForm({ provider, accounts, csrf }: Doors): Guard<SignedIn & { form: Form }> {
  return async (context: Context) => {
    const person = await signedIn(provider, accounts, context);
    const form = await readForm(context);
    if (person === undefined) throw new Problem('interaction-gone', 'nobody is signed in');
    if (!csrf.verify(person.binding, form.get('csrf'))) throw new Problem('form-expired', 'the CSRF token is wrong');
    return { ...person, form };
  };
}
