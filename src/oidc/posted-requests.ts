import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import { readParameters } from '../http/request-body.ts';
import { Problem } from '../http/problems.ts';
import { route, unsecured, type Route } from '../http/route.ts';
import { routes } from './endpoints.ts';

/** Longest accepted query in characters. Node limits a request head to 16 KiB, so the rest of the head has room. */
const LONGEST = 14 * 1024;

/**
 * Redirects a request that an app posts to the same request as a GET (OpenID Connect Core §3.1.2.1, RP-Initiated Logout
 * §2). A browser omits `SameSite=Lax` cookies from another site's post, but sends them with the redirected GET. So a
 * signed-in person does not appear signed out, and the cookies need not be `SameSite=None`.
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

/** Reads the posted form. An empty form may have no content type. */
async function bodyOf(context: Context): Promise<string> {
  const isEmpty = context.request.length === 0 && context.get('Content-Type') === '';
  return isEmpty ? '' : (await readParameters(context)).toString();
}
