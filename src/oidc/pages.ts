import type { ErrorOut, KoaContextWithOIDC } from 'oidc-provider';
import { contentSecurityPolicy, formTarget } from '../http/content-security-policy.ts';
import { requestId } from '../http/request-id.ts';
import type { Views } from '../http/view.ts';
import { endSessionNow } from './internals.ts';
import { ourFace } from './our-face.ts';
import type { AccountOf } from './requests/request-account.ts';

export type EnginePages = ReturnType<typeof enginePages>;

/** The pages that the engine asks its host for: errors that cannot be sent to a client, and signing out. */
export function enginePages(views: Views, accountOf: AccountOf) {
  return {
    renderError: (context: KoaContextWithOIDC, out: ErrorOut, error: Error): void => {
      const face = ourFace(error);
      const ours = out.error === 'server_error';
      if (ours) context.status = face.status;
      show(
        context,
        views.render('error', {
          title: ours ? face.title : 'The app sent a request that cannot be answered',
          message: ours ? face.message : (sentence(out.error_description) ?? 'The request is not valid.'),
          hint: ours
            ? (face.hint ?? '')
            : 'Go back to the app and try again. If it stays, tell the people who make the app.',
          code: ours ? face.error : out.error,
          requestId: requestId(context),
        }),
      );
    },

    /** With an ID token of this very session as a hint, the app has shown who asks: no question is put. */
    logoutSource: async (context: KoaContextWithOIDC, form: string): Promise<void> => {
      if (isHintForThisSession(context)) {
        await endSessionNow(context);
        return;
      }
      const account = await accountOf(context, context.oidc.session?.accountId ?? '');
      const { client } = context.oidc;
      context.body = views.render('sign-out', {
        ...(client?.clientName === undefined ? {} : { clientName: client.clientName }),
        ...(account === undefined ? {} : { email: account.email }),
        action: attribute(form, 'action'),
        fields: [{ name: 'xsrf', value: attribute(form, 'value') }],
      });
      context.type = 'html';
      const returnTo = context.oidc.params?.['post_logout_redirect_uri'];
      const formTargets = typeof returnTo === 'string' ? [formTarget(returnTo)] : [];
      context.set('Content-Security-Policy', contentSecurityPolicy(formTargets));
    },

    postLogoutSuccessSource: (context: KoaContextWithOIDC): void => {
      const { client } = context.oidc;
      show(
        context,
        views.render('signed-out', {
          ...(client?.clientName === undefined ? {} : { clientName: client.clientName }),
          ...(client?.clientUri === undefined ? {} : { returnUrl: client.clientUri }),
        }),
      );
    },
  };
}

/** OpenID Connect RP-Initiated Logout 1.0 §2: the hint must be about the person and the session that end. */
function isHintForThisSession({ oidc }: KoaContextWithOIDC): boolean {
  const hint = oidc.entities.IdTokenHint?.payload;
  if (hint === undefined || oidc.client === undefined || oidc.session === undefined) return false;
  return hint['sub'] === oidc.session.accountId && hint['sid'] === oidc.session.sidFor(oidc.client.clientId);
}

function show(context: KoaContextWithOIDC, html: string): void {
  context.type = 'html';
  context.body = html;
  context.set('Content-Security-Policy', contentSecurityPolicy([]));
}

/** The engine hands its logout form over as HTML; the page is ours, so only the values are taken from it. */
function attribute(html: string, name: string): string {
  return new RegExp(`${name}="([^"]*)"`).exec(html)?.[1] ?? '';
}

function sentence(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
