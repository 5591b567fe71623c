import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import type { Approval, Approvals } from '../accounts/approvals.ts';
import { field } from '../http/request-body.ts';
import { Problem } from '../http/problems.ts';
import { route, type Route } from '../http/route.ts';
import { type Views, showPage } from '../http/view.ts';
import { ownForm, sentForm, type PageDependencies, type SignedIn } from './own-page.ts';

interface ApprovalRouteDependencies extends PageDependencies {
  views: Views;
  approvals: Approvals;
  answer: (
    provider: Provider,
    approval: Approval,
    decision: { isAllowed: boolean; by: SignedIn['session'] },
  ) => Promise<void>;
}

/** Route that accepts a person's answer to a request that an app made elsewhere (CIBA). */
export function approvalRoute(dependencies: ApprovalRouteDependencies): Route {
  const { approvals, forms, views } = dependencies;
  return route(
    'POST',
    '/approvals/:id',
    ownForm(dependencies, '/'),
    async (context: Context, { account, session, form }) => {
      const isAllowed = field(form, 'decision') === 'allow';
      await forms.once(context, sentForm(context, form), async () => {
        const approval = await approvals.take(context.path.split('/')[2] ?? '', account.id);
        if (approval === undefined) throw new Problem('interaction-gone', 'the request does not exist or is over');
        await dependencies.answer(dependencies.provider, approval, { isAllowed, by: session });
        showPage(context, views.render('approval-done', { isAllowed, clientName: approval.clientName }));
      });
    },
  );
}
