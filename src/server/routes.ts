import type { Provider } from 'oidc-provider';
import { approvalRoute } from '../account-pages/approval-route.ts';
import { appsRoutes } from '../account-pages/apps-page.ts';
import { homeRoute } from '../account-pages/home-page.ts';
import { passwordRoutes } from '../account-pages/password-page.ts';
import { sessionsRoutes } from '../account-pages/sessions-page.ts';
import type { Route } from '../http/route.ts';
import { interactionRoutes } from '../interactions/routes.ts';
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

/** Apps to name on the root page. */
export type Apps = readonly { name: string; url: string }[];

/** The paths that are not the engine's. */
export function routesOf(provider: Provider, base: Base, domain: Domain, apps: Apps): Route[] {
  const { config } = base;
  const { credentials, registration } = domain;
  const shared = { ...base, ...domain, grants: base.stores.grants, resources: config.resources };
  return [
    homeRoute({ ...shared, provider, apps }),
    approvalRoute({ ...domain, provider, answer: domain.backchannel.answer }),
    ...accountPages({ ...shared, provider }),
    ...postedRequestRoutes(provider),
    deviceQrRoute(config.issuer),
    ...statusRoutes(domain.status),
    ...(config.sessions.session_management ? [checkSessionRoute(config.issuer)] : []),
    ...domain.signals.routes((context) => clientToken(provider, context, transmitterIdentifier(config.issuer))),
    ...registration.routes((client) => acceptClient(provider, client, config.profile)),
    ...interactionRoutes({
      ...shared,
      provider,
      signIn: credentials.signIn,
      ...(config.sign_up.enabled && { signUp: credentials.signUp }),
      passwordMinLength: config.passwords.min_length,
      detailTypes: config.authorization_details_types,
    }),
  ];
}

/** The pages of a person's own, on which they end what is theirs. */
function accountPages(
  parts: Base & Domain & Pick<Parameters<typeof appsRoutes>[0], 'provider' | 'resources'>,
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
      endOthers: (account, session) => endings.credentialsChanged(account, 'password-changed', session),
    }),
  ];
}
