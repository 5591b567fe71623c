import { route, unsecured, type Route } from '../http/route.ts';
import { goTo } from './show-page.ts';

/**
 * Redirects a person who has signed in, or went back, to the page that they asked for. The page's name comes from the
 * URL, so only these pages are allowed.
 */
export function signedInRoute(path: string, pages: readonly string[]): Route {
  return route('GET', path, unsecured, (context) => {
    const { searchParams } = context.URL;
    const asked = searchParams.has('error') ? undefined : searchParams.get('state');
    goTo(context, pages.find((page) => page === asked) ?? '/');
  });
}

/** A well-known URL for password managers (W3C, A Well-Known URL for Changing Passwords). */
export function changePasswordRoute(page: string): Route {
  return route('GET', '/.well-known/change-password', unsecured, (context) => {
    goTo(context, page);
  });
}
