import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import { readParameters } from '../http/request-body.ts';
import { Problem } from '../http/problems.ts';
import { route, unsecured, type Route } from '../http/route.ts';
import { routes } from './endpoints.ts';

/** Leaves room in Node's limit of 16 KiB for the rest of a request head. */
const LONGEST = 14 * 1024;

/**
 * Accepts posted requests from apps (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2). A browser omits
 * `SameSite=Lax` cookies if another site posts, but sends them when it is redirected to the same request as a GET. So
 * nobody appears signed out, and the cookies need not be open to every site.
 */
export function postedRequestRoutes(provider: Provider): Route[] {
  return (['authorization', 'end_session'] as const).map((name) =>
    route('POST', routes[name], unsecured, async (context) => {
      const query = await bodyOf(context);
      if (query.length > LONGEST) throw new Problem('body-too-large', `a request of ${query.length} characters`);
      context.status = 303;
      context.redirect(`${provider.urlFor(name)}?${query}`);
    }),
  );
}

/** An empty form may have no content type. */
async function bodyOf(context: Context): Promise<string> {
  const isEmpty = context.request.length === 0 && context.get('Content-Type') === '';
  return isEmpty ? '' : (await readParameters(context)).toString();
}
