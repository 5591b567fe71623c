import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Consents } from '../accounts/consents.ts';
import type { SubjectNames } from '../accounts/pairwise.ts';
import { showPage, type Views } from '../http/view.ts';
import { formTarget } from '../http/response-headers.ts';
import { policyOf } from './clients/client-metadata.ts';
import { maySendTo } from './clients/unvetted-clients.ts';
import { errorPages } from './error-pages.ts';
import { endSessionNow } from './internals.ts';
import type { AccountOf } from './requests/request-account.ts';

export type EnginePages = ReturnType<typeof enginePages>;

/** The engine's pages: errors that cannot be sent to a client, and sign-out. */
export function enginePages({
  views,
  accountOf,
  consents,
  subjectNames,
}: {
  views: Views;
  accountOf: AccountOf;
  consents: Consents;
  subjectNames: SubjectNames;
}) {
  return {
    renderError: errorPages(views, consents),

    /**
     * Asks the person to confirm a sign-out. If the app sends an ID token of this session as a hint, the server signs
     * the person out without asking.
     */
    logoutSource: async (context: KoaContextWithOIDC, form: string): Promise<void> => {
      await keepFromUnvetted(context, consents);
      if (isHintForThisSession(context, subjectNames)) {
        await endSessionNow(context);
        return;
      }
      const account = await accountOf(context, context.oidc.session?.accountId ?? '');
      const { client } = context.oidc;
      const html = views.render('sign-out', {
        ...(client?.clientName === undefined ? {} : { clientName: client.clientName }),
        ...(account === undefined ? {} : { email: account.email }),
        action: attribute(form, 'action'),
        fields: [{ name: 'xsrf', value: attribute(form, 'value') }],
      });
      const returnTo = context.oidc.params?.['post_logout_redirect_uri'];
      showPage(context, html, { formTargets: typeof returnTo === 'string' ? [formTarget(returnTo)] : [] });
    },

    postLogoutSuccessSource: (context: KoaContextWithOIDC): void => {
      const { client, route, session } = context.oidc;
      if (route === 'end_session_confirm' && session?.accountId !== undefined) {
        showPage(context, views.render('stayed', {}));
        return;
      }
      showPage(
        context,
        views.render('signed-out', {
          ...(client?.clientName === undefined ? {} : { clientName: client.clientName }),
          // The page's URL may name any client, so the page links to no self-registered app.
          ...(client?.clientUri === undefined || policyOf(client).isSelfDescribed
            ? {}
            : { returnUrl: client.clientUri }),
        }),
      );
    },
  };
}

/** Removes the redirect of a sign-out to a self-registered app that the person has never given access. */
async function keepFromUnvetted(context: KoaContextWithOIDC, consents: Consents): Promise<void> {
  const { client, params, session } = context.oidc;
  if (client === undefined || (await maySendTo(client, context, consents))) return;
  if (params !== undefined) params['post_logout_redirect_uri'] = undefined;
  if (session?.state !== undefined) session.state['postLogoutRedirectUri'] = undefined;
}

/**
 * Tells whether the hint names the account and the session that this sign-out ends (OpenID Connect RP-Initiated Logout
 * 1.0 §2).
 */
function isHintForThisSession({ oidc }: KoaContextWithOIDC, subjectNames: SubjectNames): boolean {
  const hint = oidc.entities.IdTokenHint?.payload;
  if (hint === undefined || oidc.client === undefined || oidc.session === undefined) return false;
  const { accountId = '' } = oidc.session;
  const subject = subjectNames.subjectFor(accountId, policyOf(oidc.client).sector);
  return hint['sub'] === subject && hint['sid'] === oidc.session.sidFor(oidc.client.clientId);
}

/**
 * Extracts an attribute from the engine's logout form, which is HTML. The server's own page needs only these values.
 */
function attribute(html: string, name: string): string {
  return new RegExp(`${name}="([^"]*)"`).exec(html)?.[1] ?? '';
}
