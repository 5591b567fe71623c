import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import type { Accounts } from '../accounts/accounts.ts';
import type { Approval, Approvals } from '../accounts/approvals.ts';
import { contentSecurityPolicy } from '../http/content-security-policy.ts';
import type { Csrf } from '../http/csrf.ts';
import { field, readForm } from '../http/form.ts';
import { Problem } from '../http/problems.ts';
import { route, type Route } from '../http/route.ts';
import type { Views } from '../http/view.ts';
import { signedIn, type SignedIn } from './signed-in.ts';

/** Takes a person's answer to what an app asked of them from elsewhere. */
export function approvalRoute(parts: {
  provider: Provider;
  views: Views;
  accounts: Accounts;
  approvals: Approvals;
  csrf: Csrf;
  answer: (
    provider: Provider,
    approval: Approval,
    said: { isAllowed: boolean; by: SignedIn['session'] },
  ) => Promise<void>;
}): Route {
  const { accounts, approvals, csrf, views } = parts;
  return route(
    'POST',
    '/approvals/:id',
    async (context) => {
      const person = await signedIn(parts.provider, accounts, context);
      const form = await readForm(context);
      if (person === undefined) throw new Problem('interaction-gone', 'nobody is signed in');
      if (!csrf.verify(person.binding, form.get('csrf'))) throw new Problem('form-expired', 'the CSRF token is wrong');
      return { ...person, isAllowed: field(form, 'decision') === 'allow' };
    },
    async (context: Context, { account, session, isAllowed }) => {
      const approval = await approvals.take(context.path.split('/')[2] ?? '', account.id);
      if (approval === undefined) throw new Problem('interaction-gone', 'there is no such request, or no more');
      await parts.answer(parts.provider, approval, { isAllowed, by: session });
      context.set('Content-Security-Policy', contentSecurityPolicy([]));
      context.set('Cache-Control', 'no-store');
      context.type = 'html';
      context.body = views.render('approval-done', { isAllowed, clientName: approval.clientName });
    },
  );
}
