import type { Provider } from 'oidc-provider';
import { takesPasswords } from '../config/deprecated.ts';
import type { Config } from '../config/schema.ts';
import { passwordGrant } from '../grants/password.ts';
import { tokenExchange } from '../grants/token-exchange/token-exchange.ts';
import type { HealthParts } from '../host/health.ts';
import { published } from '../host/published.ts';
import type { Engine } from '../host/request-handler.ts';
import { middlewareTable } from '../host/table.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import type { GrantType } from '../oidc/grant-type.ts';
import { answerEngineFormsOnce } from '../oidc/answered-forms.ts';
import { limitSignOuts } from '../oidc/logout/sign-out-limits.ts';
import { frontChannelLogout } from '../oidc/logout/front-channel-logout.ts';
import { sessionManagement } from '../oidc/logout/session-management.ts';
import { createProvider } from '../oidc/provider.ts';
import { publicDocuments } from '../oidc/published-documents.ts';
import { resumeOnce } from '../oidc/resume.ts';
import { refuseSpentStrangers } from '../oidc/spent-strangers.ts';
import type { Base } from './base.ts';
import type { Domain } from './domain.ts';
import { routesOf, type Apps } from './routes.ts';

/** The engine for one snapshot of the keys, with the host's steps before it. */
export function buildEngine(
  base: Base,
  keys: KeyRing,
  domain: Domain,
  host: { apps: Apps; isDraining: () => boolean } & Pick<HealthParts, 'storeChecks'>,
): Engine & { provider: Provider } {
  const { config, stores } = base;
  const { admit, refresh, registration, views } = domain;
  const ring = keys.current();
  const adapters = { RefreshToken: refresh.adapter, Interaction: domain.interactions.adapter };
  const { resources } = config;
  const shared = { ...base, ...domain, ring, grants: stores.grants, resources, clientUsed: registration.used };
  const { introduce } = domain.signals;
  const grantTypes = [...domain.grantTypes, ...changingGrants(config, domain, shared)];
  const provider = createProvider({
    ...{ ...shared, signatures: keys, grantTypes, adapters, introduce },
  });
  const steps = middlewareTable({
    ...base,
    ...host,
    issuer: config.issuer,
    views,
    routes: routesOf(provider, base, domain, host.apps),
    canSign: () => keys.ready(),
    admitted: (request) => admit.admitted(request),
  });
  for (const step of [...steps, limitSignOuts, refuseSpentStrangers(domain.pending)]) provider.use(step);
  provider.use(resumeOnce(domain.interactions));
  provider.use(answerEngineFormsOnce(domain.forms));
  tellBrowsers(provider, base, domain, ring);
  return {
    provider,
    handle: provider.callback(),
    published: published(publicDocuments(provider, ring, config), config.keys.jwks_max_age),
  };
}

/** The grant types of ours that change with the keys. */
function changingGrants(
  config: Config,
  { credentials }: Domain,
  parts: Omit<Parameters<typeof tokenExchange>[0], 'issuer'>,
): GrantType[] {
  return [
    tokenExchange({ ...parts, issuer: config.issuer }),
    ...(takesPasswords(config) ? [passwordGrant({ ...parts, signIn: credentials.signIn })] : []),
  ];
}

/** What the operator has turned on of the ways by which an app's page learns of a sign-out. */
function tellBrowsers(provider: Provider, { config }: Base, { views }: Domain, ring: RingSnapshot): void {
  const { front_channel_logout: frames, session_management: isWatched } = config.sessions;
  if (frames) provider.use(frontChannelLogout(provider, views));
  if (isWatched) provider.use(sessionManagement(config.issuer, { ring }));
}
