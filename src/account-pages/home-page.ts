import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import type { Accounts } from '../accounts/accounts.ts';
import type { Approvals } from '../accounts/approvals.ts';
import { scopesInWords } from '../accounts/consents.ts';
import type { ResourceConfig } from '../config/schema.ts';
import type { Csrf } from '../http/csrf.ts';
import type { PageData } from '../http/pages.ts';
import { route, unsecured, type Route } from '../http/route.ts';
import { type Views, showPage, goTo } from '../http/view.ts';
import type { Clock } from '../lib/clock.ts';
import { signedIn, type SignedIn } from './own-page.ts';

interface HomePageDependencies {
  provider: Provider;
  views: Views;
  accounts: Accounts;
  approvals: Approvals;
  resources: readonly ResourceConfig[];
  csrf: Csrf;
  clock: Clock;
  signInUrl: (page: string) => string;
  apps: readonly { name: string; url: string }[];
}

const PAGES = [
  { name: 'Where you are signed in', url: '/sessions' },
  { name: 'Apps with access', url: '/apps' },
  { name: 'Change your password', url: '/password' },
];

/** Route of the home page: the server's name, the signed-in person, requests that wait for an answer, and sign-out. */
export function homeRoute(dependencies: HomePageDependencies): Route {
  return route('GET', '/', unsecured, async (context: Context) => {
    const person = await signedIn(dependencies.provider, dependencies.accounts, context);
    const html = dependencies.views.render('home', {
      ...(person === undefined
        ? { signInUrl: dependencies.signInUrl('/') }
        : await ownPart(dependencies, context, person)),
      ...(dependencies.apps.length === 0 ? {} : { demo: dependencies.apps }),
    });
    showPage(context, html);
  });
}

async function ownPart(
  dependencies: HomePageDependencies,
  context: Context,
  { account, purpose }: SignedIn,
): Promise<PageData['home']> {
  const waiting = await dependencies.approvals.waiting(account.id);
  return {
    account,
    pages: PAGES,
    signOutUrl: '/logout',
    approvals: waiting.map((approval) => ({
      action: `/approvals/${approval.id}`,
      csrf: dependencies.csrf.token(context, purpose),
      clientName: approval.clientName,
      scopes: scopesInWords(approval.asked, dependencies.resources),
      offline: approval.asked.scopes.includes('offline_access'),
      secondsAgo: (dependencies.clock.now() - approval.askedAt) / 1000,
      ...(approval.bindingMessage === undefined ? {} : { bindingMessage: approval.bindingMessage }),
    })),
  };
}

/**
 * Redirects a person who has signed in, or who cancelled, to the page that they asked for. The page's name comes from
 * the URL, so only the listed pages are allowed.
 */
export function signedInRoute(path: string, pages: readonly string[]): Route {
  return route('GET', path, unsecured, (context) => {
    const { searchParams } = context.URL;
    const asked = searchParams.has('error') ? undefined : searchParams.get('state');
    goTo(context, pages.find((page) => page === asked) ?? '/');
  });
}

/** Redirects the well-known URL for password managers to a page (W3C, A Well-Known URL for Changing Passwords). */
export function changePasswordRoute(page: string): Route {
  return route('GET', '/.well-known/change-password', unsecured, (context) => {
    goTo(context, page);
  });
}
