import type { Provider } from 'oidc-provider';
import { approvalRoute } from './account-pages/approval-route.ts';
import { appsRoutes } from './account-pages/apps-page.ts';
import { homeRoute } from './account-pages/home-page.ts';
import { passwordRoutes } from './account-pages/password-page.ts';
import { sessionsRoutes } from './account-pages/sessions-page.ts';
import { takesPasswords } from './config/deprecated.ts';
import type { Config } from './config/schema.ts';
import { passwordGrant } from './grants/password.ts';
import { tokenExchange } from './grants/token-exchange/token-exchange.ts';
import { listen } from './host/listener.ts';
import { openLog } from './host/log.ts';
import { published } from './host/published.ts';
import { requestHandler, type Engine } from './host/request-handler.ts';
import { middlewareTable } from './host/table.ts';
import type { Route } from './http/route.ts';
import { interactionRoutes } from './interactions/routes.ts';
import type { KeyRing } from './keys/key-ring.ts';
import type { RingSnapshot } from './keys/ring.ts';
import { systemClock, type Clock } from './lib/clock.ts';
import { systemRandom, type Random } from './lib/random.ts';
import { deviceQrRoute } from './oidc/device-qr.ts';
import { frontChannelLogout } from './oidc/logout/front-channel-logout.ts';
import { checkSessionRoute, sessionManagement } from './oidc/logout/session-management.ts';
import { postedRequestRoutes } from './oidc/posted-requests.ts';
import { acceptClient, checkClients } from './oidc/clients/check-clients.ts';
import type { GrantType } from './oidc/grant-type.ts';
import { signJwt } from './oidc/internals.ts';
import { clientToken } from './oidc/own-access-token.ts';
import { createProvider } from './oidc/provider.ts';
import { appsWithAccess, liveSessions } from './oidc/storage/access.ts';
import { publicDocuments } from './oidc/published-documents.ts';
import { transmitterIdentifier } from './oidc/requests/transmitter.ts';
import { statusRoutes } from './status/routes.ts';
import { openStores } from './storage/open-stores.ts';
import type { Base } from './server/base.ts';
import { openDomain, type Domain } from './server/domain.ts';
import { openRing } from './server/ring.ts';

export interface ServerOptions {
  config: Config;
  /** Apps to name on the root page. */
  apps?: readonly { name: string; url: string }[];
  clock?: Clock;
  random?: Random;
}

export interface RunningServer {
  /** Where it listens; clients use the issuer's URL. */
  readonly port: number;
  /** Lets what has begun end, then closes everything. */
  close(): Promise<void>;
  /** Cuts every connection. */
  closeNow(): void;
}

type Apps = readonly { name: string; url: string }[];

/** Starts the server that a configuration describes; the only place that sees every part. */
export async function startServer({ config, apps = [], ...given }: ServerOptions): Promise<RunningServer> {
  const { clock = systemClock, random = systemRandom } = given;
  const stores = await openStores(config.stores, clock);
  try {
    const base: Base = { config, stores, log: openLog(config.log), clock, random };
    for (const warning of stores.warnings) base.log.warn(warning);
    const ring = await openRing(base);
    return await serve(base, ring, apps).catch(async (error: unknown) => {
      await ring.close();
      throw error;
    });
  } catch (error) {
    await stores.close();
    throw error;
  }
}

async function serve(base: Base, ring: KeyRing, apps: Apps): Promise<RunningServer> {
  const { config, stores, log } = base;
  const domain = await openDomain(base, ring, {
    list: (claims) => signAs({ alg: 'ES256', typ: 'statuslist+jwt' }, engine.provider, ring.current(), claims),
    // CAEP Interoperability Profile 1.0 §2.6 knows RS256 alone.
    event: (claims) => signAs({ alg: 'RS256', typ: 'secevent+jwt' }, engine.provider, ring.current(), claims),
  });
  let isDraining = false;
  const build = () => buildEngine(base, ring, domain, { apps, isDraining: () => isDraining });
  let engine = build();
  ring.onChange(({ signing, published }) => {
    engine = build();
    domain.status.keysChanged();
    domain.announce({ type: 'keys.changed', signing: kidsOf(signing), published: kidsOf(published) });
  });
  await checkClients(engine.provider, domain.clients, log);
  const handler = requestHandler(domain.admit, () => engine);
  const listener = await listen(config.listen, handler);
  domain.revocations.watch();
  log.info({ issuer: config.issuer, port: listener.port }, 'ready');
  return {
    port: listener.port,
    async close() {
      isDraining = true;
      domain.status.streams.close();
      domain.signals.release();
      await listener.drain();
      await domain.revocations.close();
      await domain.status.close();
      await domain.signals.close();
      await domain.logouts.close();
      await ring.close();
      await stores.close();
    },
    closeNow: () => {
      listener.stop();
    },
  };
}

/** By the algorithm that is named, which readers take by default, where the ring has it. */
function signAs(
  { alg: preferred, typ }: { alg: string; typ: string },
  provider: Provider,
  { signing }: RingSnapshot,
  claims: Readonly<Record<string, unknown>>,
): Promise<string> {
  const algorithms: string[] = signing.map(({ alg }) => alg);
  const alg = algorithms.find((one) => one === preferred) ?? algorithms[0] ?? preferred;
  return signJwt(provider, claims, { alg, typ });
}

function kidsOf(keys: readonly { kid?: string }[]): string[] {
  return keys.map(({ kid = '' }) => kid);
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

/** The engine for one snapshot of the keys, with the host's steps before it. */
function buildEngine(
  base: Base,
  keys: KeyRing,
  domain: Domain,
  host: { apps: Apps; isDraining: () => boolean },
): Engine & { provider: Provider } {
  const { config, stores } = base;
  const { admit, logouts, refresh, registration, views } = domain;
  const ring = keys.current();
  const adapters = { RefreshToken: refresh.adapter };
  const { resources } = config;
  const shared = { ...base, ...domain, ring, grants: stores.grants, resources, clientUsed: registration.used };
  const { introduce } = domain.signals;
  const grantTypes = [...domain.grantTypes, ...changingGrants(config, domain, shared)];
  const provider = createProvider({ ...shared, signatures: keys, grantTypes, adapters, introduce });
  refresh.extend(provider);
  logouts.watch(provider);
  const steps = middlewareTable({
    ...base,
    ...host,
    issuer: config.issuer,
    views,
    routes: routesOf(provider, base, domain, host.apps),
    stores: [stores.records, stores.grants],
    canSign: () => keys.ready(),
    admitted: (request) => admit.admitted(request),
  });
  for (const step of steps) provider.use(step);
  tellBrowsers(provider, base, domain, ring);
  return {
    provider,
    handle: provider.callback(),
    published: published(publicDocuments(provider, ring, config), config.keys.jwks_max_age),
  };
}

/** The paths that are not the engine's. */
function routesOf(provider: Provider, base: Base, domain: Domain, apps: Apps): Route[] {
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

/** What the operator has turned on of the ways by which an app's page learns of a sign-out. */
function tellBrowsers(provider: Provider, { config, random }: Base, { views }: Domain, ring: RingSnapshot): void {
  const { front_channel_logout: frames, session_management: isWatched } = config.sessions;
  if (frames) provider.use(frontChannelLogout(provider, views));
  if (isWatched) provider.use(sessionManagement(provider, { key: ring.derive('browser state'), random }));
}
