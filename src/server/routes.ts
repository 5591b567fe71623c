import type { Provider } from 'oidc-provider';
import { approvalRoute } from '../account-pages/approval-route.ts';
import { appsRoutes } from '../account-pages/apps-page.ts';
import { homeRoute } from '../account-pages/home-page.ts';
import { passwordRoutes } from '../account-pages/password-page.ts';
import { sessionsRoutes } from '../account-pages/sessions-page.ts';
import { changePasswordRoute, signedInRoute } from '../account-pages/signed-in-route.ts';
import { logoRoute } from '../host/logo-route.ts';
import type { Route } from '../http/route.ts';
import { interactionRoutes } from '../interactions/routes.ts';
import { SIGNED_IN_PATH, signInUrl } from '../oidc/clients/account-client.ts';
import { basicClient } from '../oidc/clients/basic-client.ts';
import { acceptClient } from '../oidc/clients/check-clients.ts';
import { deviceQrRoute } from '../oidc/device-qr.ts';
import { checkSessionRoute } from '../oidc/logout/session-management.ts';
import { clientToken } from '../oidc/own-access-token.ts';
import { postedRequestRoutes } from '../oidc/posted-requests.ts';
import { transmitterIdentifier } from '../oidc/requests/transmitter.ts';
import { appsWithAccess, liveSessions } from '../oidc/storage/access.ts';
import { statusRoutes } from '../status/routes.ts';
import type { Base } from './base.ts';
import type { Domain } from './domain.ts';

/** The pages that somebody may sign in for. */
const OWN_PAGES = ['/', '/sessions', '/apps', '/password'];

/** Apps to name on the root page. */
export type Apps = readonly { name: string; url: string }[];

/** The paths that are not the engine's. */
export function routesOf(provider: Provider, base: Base, domain: Domain, apps: Apps): Route[] {
  const { config } = base;
  const { credentials, registration } = domain;
  const toSignIn = { signInUrl: (page: string) => signInUrl(config.issuer, page) };
  const shared = { ...base, ...domain, ...toSignIn, grants: base.stores.grants, resources: config.resources };
  return [
    homeRoute({ ...shared, provider, apps }),
    approvalRoute({ ...shared, provider, answer: domain.backchannel.answer }),
    ...accountPages({ ...shared, provider }),
    signedInRoute(SIGNED_IN_PATH, OWN_PAGES),
    changePasswordRoute('/password'),
    ...postedRequestRoutes(provider),
    deviceQrRoute(config.issuer),
    logoRoute(domain),
    ...statusRoutes(domain.status, (context) => basicClient(provider, context, domain.secretGuesses)),
    ...(config.sessions.session_management ? [checkSessionRoute(config.issuer)] : []),
    ...domain.signals.routes((context) => clientToken(provider, context, transmitterIdentifier(config.issuer))),
    ...registration.routes((client) => acceptClient(provider, client, { ...domain, config })),
    ...interactionRoutes({
      ...shared,
      provider,
      signIn: credentials.signIn,
      admitAttempt: credentials.admitAttempt,
      ...(config.sign_up.enabled && { signUp: credentials.signUp }),
      passwordMinLength: config.passwords.min_length,
      detailTypes: config.authorization_details_types,
    }),
  ];
}

/** The pages of a person's own, on which they end what is theirs. */
function accountPages(
  parts: Base & Domain & Pick<Parameters<typeof appsRoutes>[0], 'provider' | 'resources' | 'signInUrl'>,
): Route[] {
  const { config, credentials, endings, stores } = parts;
  return [
    ...sessionsRoutes({
      ...parts,
      sessionsOf: (account) => liveSessions(stores.grants, account),
      endSession: (session) => endings.endSession(session),
    }),
    ...appsRoutes({
      ...parts,
      appsOf: (account) => appsWithAccess({ ...parts, grants: stores.grants }, account),
      removeAccess: (account, client) => endings.withdrawConsent(account, client),
    }),
    ...passwordRoutes({
      ...parts,
      changePassword: credentials.changePassword,
      passwordMinLength: config.passwords.min_length,
      replacePassword: (account, change) => endings.changeCredentials(account, 'password-changed', change),
    }),
  ];
}
