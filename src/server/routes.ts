import type { Provider } from 'oidc-provider';
import { approvalRoute } from '../account-pages/approval-route.ts';
import { appsRoutes } from '../account-pages/apps-page.ts';
import { homeRoute, changePasswordRoute, signedInRoute } from '../account-pages/home-page.ts';
import { passwordRoutes } from '../account-pages/password-page.ts';
import { sessionsRoutes } from '../account-pages/sessions-page.ts';
import type { ServingDomain } from '../domain/serving.ts';
import { logoRoute } from '../host/assets.ts';
import type { Route } from '../http/route.ts';
import { interactionRoutes } from '../interactions/routes.ts';
import { SIGNED_IN_PATH, signInUrl } from '../oidc/clients/account-client.ts';
import { basicClient } from '../oidc/clients/basic-client.ts';
import { acceptClient } from '../oidc/clients/check-clients.ts';
import { deviceQrRoute } from '../oidc/device/device-pages.ts';
import { checkSessionRoute } from '../oidc/logout/session-management.ts';
import { clientToken } from '../oidc/presented-access-token.ts';
import { postedRequestRoutes } from '../oidc/posted-requests.ts';
import { transmitterIdentifier } from '../oidc/requests/transmitter.ts';
import { appsWithAccess, liveSessions } from '../sessions/access.ts';
import { statusRoutes } from '../status/routes.ts';

/** The account pages to which a sign-in may lead back. */
const OWN_PAGES = ['/', '/sessions', '/apps', '/password'];

/** The apps that the root page names. */
export type Apps = readonly { name: string; url: string }[];

/** Lists the routes outside the engine. */
export function routesOf(serving: ServingDomain, provider: Provider, apps: Apps): Route[] {
  const { status, secretGuesses, transmitter, registration, outgoing, pages } = serving;
  const { config } = serving.domain;
  const { issuer, sessions } = config;
  return [
    ...homeRoutes(serving, provider, apps),
    ...accountRoutes(serving, provider),
    signedInRoute(SIGNED_IN_PATH, OWN_PAGES),
    changePasswordRoute('/password'),
    ...postedRequestRoutes(provider),
    deviceQrRoute(issuer),
    logoRoute({ logos: pages.logos, outgoing }),
    ...statusRoutes(status, (context) => basicClient(provider, context, secretGuesses)),
    ...(sessions.session_management ? [checkSessionRoute(issuer)] : []),
    ...transmitter.routes((context) => clientToken(provider, context, transmitterIdentifier(issuer))),
    ...registration.routes((client) => acceptClient(provider, client, { config, outgoing })),
    ...signInRoutes(serving, provider),
  ];
}

/** The home page, and the route for a person's answer to an app's request that it shows. */
function homeRoutes(serving: ServingDomain, provider: Provider, apps: Apps): Route[] {
  const { approvals, backchannel } = serving;
  const { config, accounts, clock } = serving.domain;
  const { views, csrf, forms } = serving.pages;
  const { resources } = config;
  const toSignIn = signInUrlOf(serving);
  return [
    homeRoute({ provider, views, accounts, approvals, resources, csrf, clock, signInUrl: toSignIn, apps }),
    approvalRoute({
      provider,
      views,
      accounts,
      approvals,
      csrf,
      forms,
      signInUrl: toSignIn,
      answer: backchannel.answer,
    }),
  ];
}

/** Pages on which people end sessions, remove the access of apps and change their password. */
function accountRoutes(serving: ServingDomain, provider: Provider): Route[] {
  const { announce, credentials } = serving;
  const { config, accounts, clients, consents, operations, grants, clock } = serving.domain;
  const { views, csrf, forms } = serving.pages;
  const toSignIn = signInUrlOf(serving);
  return [
    ...sessionsRoutes({
      provider,
      accounts,
      csrf,
      forms,
      signInUrl: toSignIn,
      views,
      clients,
      clock,
      placeDetail: config.sessions.place,
      sessionsOf: (account) => liveSessions(grants, account),
      endSession: (session) => operations.endSession(session),
    }),
    ...appsRoutes({
      provider,
      accounts,
      csrf,
      forms,
      signInUrl: toSignIn,
      views,
      clients,
      resources: config.resources,
      appsOf: (account) => appsWithAccess({ grants, consents }, account),
      removeAccess: (account, client) => operations.withdrawConsent(account, client),
    }),
    ...passwordRoutes({
      provider,
      accounts,
      csrf,
      forms,
      signInUrl: toSignIn,
      views,
      announce,
      changePassword: credentials.changePassword,
      passwordMinLength: config.passwords.min_length,
      replacePassword: (account, change) => operations.changeCredentials(account, 'password-changed', change),
    }),
  ];
}

/** The pages between an authorization request and its answer. */
function signInRoutes(serving: ServingDomain, provider: Provider): Route[] {
  const { announce, credentials } = serving;
  const { config, accounts, consents, clock } = serving.domain;
  const { views, csrf, interactions } = serving.pages;
  const { signIn, admitAttempt, signUp } = credentials;
  return interactionRoutes({
    provider,
    views,
    csrf,
    interactions,
    accounts,
    consents,
    signIn,
    admitAttempt,
    ...(config.sign_up.enabled && { signUp }),
    passwordMinLength: config.passwords.min_length,
    resources: config.resources,
    detailTypes: config.authorization_details_types,
    announce,
    clock,
  });
}

function signInUrlOf({ domain }: ServingDomain): (page: string) => string {
  return (page) => signInUrl(domain.config.issuer, page);
}
