import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import type { Accounts } from '../accounts/accounts.ts';
import { contentSecurityPolicy } from '../http/content-security-policy.ts';
import { route, unsecured, type Route } from '../http/route.ts';
import type { Views } from '../http/view.ts';

/** The page at the root: whose server this is, who is signed in here, and the way to sign out. */
export function homeRoute(parts: {
  provider: Provider;
  views: Views;
  accounts: Accounts;
  apps: readonly { name: string; url: string }[];
}): Route {
  return route('GET', '/', unsecured, async (context: Context) => {
    const session = await parts.provider.Session.get(context);
    const account = session.accountId === undefined ? undefined : await parts.accounts.find(session.accountId);
    context.set('Content-Security-Policy', contentSecurityPolicy([]));
    context.set('Cache-Control', 'no-store');
    context.type = 'html';
    context.body = parts.views.render('home', {
      ...(account === undefined ? {} : { account, signOutUrl: '/logout' }),
      ...(parts.apps.length === 0 ? {} : { demo: parts.apps }),
    });
  });
}
