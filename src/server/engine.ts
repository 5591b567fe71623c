import type { Logger } from 'pino';
import type { Provider } from 'oidc-provider';
import { takesPasswords } from '../oidc/clients/deprecated-flows.ts';
import type { ServingDomain } from '../domain/serving.ts';
import { passwordGrant } from '../grants/password.ts';
import { tokenExchange } from '../grants/token-exchange/token-exchange.ts';
import type { Admission } from '../host/admission.ts';
import type { HealthDependencies } from '../host/health.ts';
import { published, type Engine } from '../host/request-handler.ts';
import { middlewareStack } from '../host/middleware.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import { answerEngineFormsOnce } from '../oidc/answered-forms.ts';
import type { GrantType } from '../oidc/grant-type.ts';
import { clientCalls } from '../oidc/clients/client-calls.ts';
import { frontChannelLogout } from '../oidc/logout/front-channel-logout.ts';
import { sessionManagement } from '../oidc/logout/session-management.ts';
import { limitSignOuts } from '../oidc/logout/sign-out-steps.ts';
import { createProvider } from '../oidc/provider.ts';
import { publicDocuments } from '../oidc/published-documents.ts';
import { resumeOnce } from '../oidc/resume.ts';
import { refuseSpentStrangers } from '../oidc/storage/pending-requests.ts';
import { routesOf, type Apps } from './routes.ts';

interface EngineContext {
  serving: ServingDomain;
  keys: KeyRing;
  log: Logger;
  admission: Admission;
  storeChecks: HealthDependencies['storeChecks'];
  isDraining: () => boolean;
  apps: Apps;
}

/** Builds the engine for the current keys, with the host's middleware before it. */
export function buildEngine(context: EngineContext): Engine & { provider: Provider } {
  const { serving, keys } = context;
  const { config } = serving.domain;
  const { forms, interactions, pending } = serving.pages;
  const ring = keys.current();
  const provider = providerFor(context, ring);
  for (const step of hostSteps(context, provider)) provider.use(step);
  provider.use(limitSignOuts);
  provider.use(refuseSpentStrangers(pending));
  provider.use(resumeOnce(interactions));
  provider.use(answerEngineFormsOnce(forms));
  tellBrowsers(provider, serving, ring);
  return {
    provider,
    handle: provider.callback(),
    published: published(publicDocuments(provider, ring, config), config.keys.jwks_max_age),
  };
}

function providerFor({ serving, keys, log }: EngineContext, ring: RingSnapshot): Provider {
  const { config, grants, clients, consents, revoke, signals, clock, random } = serving.domain;
  return createProvider({
    config,
    ring,
    signatures: keys,
    grants,
    clients,
    consents,
    revoke,
    introduce: signals.introduce,
    clock,
    random,
    log,
    grantTypes: grantTypes(serving, ring),
    adapters: { RefreshToken: serving.refresh.adapter, Interaction: serving.pages.interactions.adapter },
    accountOf: serving.accountOf,
    subjectNames: serving.subjectNames,
    announce: serving.announce,
    backchannel: serving.backchannel,
    mTLS: serving.mTLS,
    secretGuesses: serving.secretGuesses,
    status: serving.status,
    refresh: serving.refresh,
    logouts: serving.logouts,
    forms: serving.pages.forms,
    outgoing: serving.outgoing,
    calls: clientCalls({ config, outgoing: serving.outgoing }),
    clientUsed: serving.registration.used,
    pending: serving.pages.pending,
    views: serving.pages.views,
  });
}

/** The grant types beyond the engine's own. */
function grantTypes(serving: ServingDomain, ring: RingSnapshot): GrantType[] {
  const { announce, accountOf, status, subjectNames, credentials, jwtBearer } = serving;
  const { config, grants, clock, random } = serving.domain;
  const { issuer } = config;
  const { signIn } = credentials;
  return [
    jwtBearer,
    tokenExchange({ issuer, ring, accountOf, grants, status, subjectNames, announce, clock, random }),
    ...(takesPasswords(config) ? [passwordGrant({ signIn, announce, clock })] : []),
  ];
}

function hostSteps(
  { serving, keys, log, admission, storeChecks, isDraining, apps }: EngineContext,
  provider: Provider,
) {
  const { config, clock, random } = serving.domain;
  return middlewareStack({
    issuer: config.issuer,
    views: serving.pages.views,
    routes: routesOf(serving, provider, apps),
    admitted: (request) => admission.admitted(request),
    canSign: () => keys.ready(),
    storeChecks,
    isDraining,
    log,
    clock,
    random,
  });
}

/** Enables the configured ways for an app's page to notice a sign-out. */
function tellBrowsers(provider: Provider, { domain, pages }: ServingDomain, ring: RingSnapshot): void {
  const { config } = domain;
  const { front_channel_logout: frames, session_management: isWatched } = config.sessions;
  if (frames) provider.use(frontChannelLogout(provider, pages.views));
  if (isWatched) provider.use(sessionManagement(config.issuer, { ring }));
}
