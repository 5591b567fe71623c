import type { Account as EngineAccount, Adapter, Client, Configuration, KoaContextWithOIDC } from 'oidc-provider';
import type { Account } from '../accounts/account.ts';
import { accountClaims, claimsOfScope, scopesOfClaims } from '../accounts/claims.ts';
import type { SubjectNames } from '../accounts/pairwise.ts';
import type { Consents } from '../accounts/consents.ts';
import type { Clients } from '../clients/clients.ts';
import { responseTypesOf } from './clients/deprecated-flows.ts';
import type { Config, ResourceConfig } from '../config/schema.ts';
import { STANDARD_SCOPES } from '../config/sections/claims-schema.ts';
import type { Announce, Revoke } from '../events/events.ts';
import type { Views } from '../http/view.ts';
import type { ExternalSigning } from '../keys/external-signing.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Store } from '../storage/store.ts';
import { algorithms, authMethods, engineKeys } from './algorithms.ts';
import type { BackchannelRequests } from './backchannel-requests.ts';
import type { ClientCalls } from './clients/client-calls.ts';
import { accountClient, NO_RESPONSE } from './clients/account-client.ts';
import type { MutualTls } from './clients/client-certificates.ts';
import { clientMetadata, POLICY, policyOf } from './clients/client-metadata.ts';
import { metadataDocuments } from './clients/metadata-documents.ts';
import type { SecretGuesses } from './clients/secret-guesses.ts';
import { needsChallenge, refuseFaulty, rotatesRefreshTokens } from './clients/profile-rules.ts';
import { devicePages } from './device/device-pages.ts';
import { ENGINE_COOKIES, endpoints, sessionCookie } from './endpoints.ts';
import { existingGrant } from './existing-grant.ts';
import { promptPolicy } from './interaction-policy.ts';
import { lifetimes } from './lifetimes.ts';
import { enginePages, type EnginePages } from './pages.ts';
import { ACR_VALUES } from './requests/authentication-demands.ts';
import { richAuthorizationRequests } from './requests/authorization-details.ts';
import { assertClaimsParameter } from './requests/claims-parameter.ts';
import { assertClientAssertion } from './requests/client-jwts.ts';
import type { AccountOf } from './requests/request-account.ts';
import { introspection } from './requests/introspected-claims.ts';
import { isFirstPartyWebApp, withOperatorClaims, accessTokenClaims } from './requests/token-claims.ts';
import { keyProofs } from './requests/key-proofs.ts';
import { limitRequest } from './requests/parameter-limits.ts';
import { requestObjects } from './requests/request-objects.ts';
import { resourceIndicators } from './requests/resource-indicators.ts';
import { statusClaim } from './requests/token-status.ts';
import type { TokenStatus } from '../status/status.ts';
import { transmitterOf } from './requests/transmitter.ts';
import { adapterFactory } from './storage/adapter.ts';
import { CLOCK_TOLERANCE } from './storage/replay-adapter.ts';
import type { PendingRequests } from './storage/pending-requests.ts';
import { openUserCodes } from './storage/user-codes.ts';

export interface EngineDependencies {
  config: Config;
  ring: RingSnapshot;
  signatures: ExternalSigning;
  grants: Store;
  clients: Clients;
  consents: Consents;
  accountOf: AccountOf;
  subjectNames: SubjectNames;
  views: Views;
  adapters: Readonly<Record<string, Adapter>>;
  announce: Announce;
  backchannel: BackchannelRequests;
  /** Called before a client gets any data of an account. */
  introduce: (account: string, client: string) => Promise<void>;
  mTLS: MutualTls;
  secretGuesses: SecretGuesses;
  pending: PendingRequests;
  calls: Pick<ClientCalls, 'fetch'>;
  status: Pick<TokenStatus, 'assign' | 'isRevoked'>;
  revoke: Revoke;
  clock: Clock;
  random: Random;
}

/** Builds the engine's whole configuration. */
export function engineConfiguration(dependencies: EngineDependencies): Configuration {
  const { config, ring, accountOf, subjectNames, mTLS } = dependencies;
  const pages = enginePages(dependencies);
  const requests = requestObjects(dependencies.clock);
  return {
    ...storage(dependencies),
    extraClientMetadata: { properties: [POLICY], validator: refuseFaulty },
    clientAuthMethods: authMethods(mTLS),
    clockTolerance: CLOCK_TOLERANCE,
    assertJwtClientAuthClaimsAndHeader: assertClientAssertion(dependencies),
    clientBasedCORS: allowOwnOrigins,
    jwks: { keys: engineKeys(ring.signing, dependencies.signatures) },
    enabledJWA: algorithms(config, ring),

    scopes: [...STANDARD_SCOPES],
    claims: claimNames,
    acrValues: [...ACR_VALUES],
    // An access token for an API is not meant for /userinfo, so the ID token carries the claims about the person.
    conformIdTokenClaims: false,
    responseTypes: [...responseTypesOf(config), NO_RESPONSE],
    pkce: { required: needsChallenge },
    // The redirect URI is always required. At the code exchange, the engine would not know whether the authorization
    // request had named it (RFC 6749 §4.1.3).
    allowOmittingSingleRegisteredRedirectUri: false,
    ...subjects(subjectNames),
    ttl: lifetimes(config, dependencies.clock),

    findAccount: accountFinder(accountOf, subjectNames),
    loadExistingGrant: (context) => existingGrant(context, dependencies),
    issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: ({ oidc }) => oidc.client === undefined || rotatesRefreshTokens(oidc.client),
    // A device stays signed in after the browser that confirmed it has signed out.
    expiresWithSession: (_context, source) => source.kind !== 'DeviceCode' && !source.scopes.has('offline_access'),
    extraTokenClaims: extraTokenClaims(dependencies),
    formats: { customizers: { jwt: namedType(config.resources) } },
    interactions: {
      policy: promptPolicy(dependencies),
      url: (_context, interaction) => `/interaction/${interaction.uid}`,
    },
    cookies: cookies(config.issuer, ring),
    ...endpoints(config),
    fetch: dependencies.calls.fetch,
    renderError: pages.renderError,

    // The validator of an extra parameter is the engine's only hook between the last check of a request and its
    // effects.
    extraParams: {
      client_id: (context, _value, client) => {
        limitRequest(context);
        return requests.claimRequestObject(context, client);
      },
    },
    features: { ...features(dependencies, pages, requests), mTLS },
  };
}

function extraTokenClaims(dependencies: EngineDependencies): Configuration['extraTokenClaims'] {
  const { accountOf, subjectNames, config } = dependencies;
  return async (context, token) => {
    const [claims, status] = await Promise.all([
      accessTokenClaims(context, token, { accountOf, subjectNames, resources: config.resources }),
      statusClaim(context, token, dependencies),
    ]);
    return { ...claims, ...status };
  };
}

/**
 * Configures public and pairwise subjects (OpenID Connect Core §8). The engine does not check sectors: this server
 * does, at registration and at the start.
 */
function subjects(
  names: SubjectNames,
): Pick<Configuration, 'subjectTypes' | 'pairwiseIdentifier' | 'sectorIdentifierUriValidate'> {
  return {
    subjectTypes: ['public', 'pairwise'],
    pairwiseIdentifier: (_context, account, client) => names.subjectFor(account, policyOf(client).sector),
    sectorIdentifierUriValidate: () => false,
  };
}

/** Configures the engine's storage, and the clients that it knows without a lookup. */
function storage(dependencies: EngineDependencies): Pick<Configuration, 'adapter' | 'clients'> {
  const { config, ring, signatures, grants, clients, adapters, pending, introduce, revoke, clock, random } =
    dependencies;
  return {
    adapter: adapterFactory({
      config,
      grants,
      clients,
      adapters,
      userCodes: openUserCodes({ grants, random, key: ring.derive('user codes') }),
      pending,
      introduce,
      canSign: () => signatures.ready(),
      revoke,
      clock,
      random,
    }),
    clients: [accountClient(config), ...clients.configured.map((client) => clientMetadata(client, config))],
  };
}

function features(
  dependencies: EngineDependencies,
  pages: EnginePages,
  requests: ReturnType<typeof requestObjects>,
): NonNullable<Configuration['features']> {
  const { config, ring, views, accountOf, subjectNames, announce, clock } = dependencies;
  const { resources } = config;
  return {
    clientIdMetadataDocument: metadataDocuments(dependencies),
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    ciba: dependencies.backchannel.feature,
    deviceFlow: devicePages({ views, accountOf, resources, announce, clock }, pages),
    encryption: { enabled: true },
    // The feature is experimental: `ack` accepts that the engine may change it. Tests with a PKCS #11 token would
    // detect a change.
    externalSigningSupport: { enabled: true, ack: 'experimental-01' },
    jwtUserinfo: { enabled: true },
    jwtResponseModes: { enabled: true },
    jwtIntrospection: { enabled: true },
    requestObjects: { enabled: true, assertJwtClaimsAndHeader: requests.assertRequestObject },
    dPoP: keyProofs(ring.derive('dpop nonce'), config.profile, clock),
    introspection: { enabled: true, allowedPolicy: introspection({ accountOf, subjectNames, resources }) },
    resourceIndicators: resourceIndicators({
      resources,
      accountOf,
      accessTokenTtl: config.tokens.access_token,
      transmitter: transmitterOf(config),
    }),
    richAuthorizationRequests: richAuthorizationRequests(config.authorization_details_types),
    claimsParameter: { enabled: true, assertClaimsParameter },
    revocation: { enabled: true, allowedPolicy: (_context, client, token) => token.clientId === client.clientId },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: pages.logoutSource,
      postLogoutSuccessSource: pages.postLogoutSuccessSource,
    },
  };
}

/**
 * Allows CORS requests from the client's own origins. Some libraries send cookies with them, which these endpoints
 * ignore.
 */
function allowOwnOrigins(context: KoaContextWithOIDC, origin: string, client: Client): boolean {
  const isOwn = policyOf(client).origins.includes(origin);
  if (isOwn) context.set('Access-Control-Allow-Credentials', 'true');
  return isOwn;
}

/**
 * Finds an account by its id. In a backchannel request, the ID token hint names the client's subject for the account
 * instead (CIBA Core §7.1).
 */
function accountFinder(accountOf: AccountOf, subjectNames: SubjectNames): NonNullable<Configuration['findAccount']> {
  return async (context, id) => {
    const { client, entities, route } = context.oidc;
    const isSubject = route === 'backchannel_authentication' && entities.IdTokenHint?.payload['sub'] === id;
    const found = isSubject ? subjectNames.accountFor(id, client && policyOf(client).sector) : id;
    const account = found === undefined ? undefined : await accountOf(context, found);
    if (account === undefined) return undefined;
    return { accountId: account.id, claims: claimsOf(account, context, subjectNames) };
  };
}

/** Returns the claims for an ID token or /userinfo. The engine then selects those that were granted. */
function claimsOf(account: Account, { oidc }: KoaContextWithOIDC, subjectNames: SubjectNames): EngineAccount['claims'] {
  return (use, scope, claims) => {
    const scopes = scope.split(' ');
    const said = accountClaims(account, [...scopes, ...scopesOfClaims(Object.keys(claims))]);
    const { client } = oidc;
    if (client === undefined) return said;
    const sub = subjectNames.subjectFor(account.id, policyOf(client).sector);
    const isOpen = (name: string) => isFirstPartyWebApp(client) || scopes.includes(name);
    const place = use === 'userinfo' ? 'userinfo' : 'id_token';
    return { ...said, ...withOperatorClaims(said, place, { client, person: { account, sub, isOpen } }) };
  };
}

/**
 * Sets the type `JWT` in the tokens of APIs that are configured for it, because old libraries refuse `at+jwt` (RFC 9068
 * §2.1).
 */
function namedType(
  resources: readonly ResourceConfig[],
): NonNullable<NonNullable<Configuration['formats']>['customizers']>['jwt'] {
  const plain = new Set(resources.filter((one) => one.access_token_type === 'jwt').map(({ identifier }) => identifier));
  return (_context, token, jwt) => {
    if (plain.has(token.resourceServer?.identifier() ?? '')) jwt.header = { ...jwt.header, typ: 'JWT' };
  };
}

/** Claims by scope. Every ID token states how and when the person signed in. */
const claimNames = {
  ...claimsOfScope,
  openid: [...claimsOfScope.openid, 'acr', 'amr', 'auth_time'],
  sid: null,
  iss: null,
};

/**
 * Names the cookies. `__Host-` binds a cookie to this host; browsers accept it only over TLS (RFC 6265bis §4.1.3.2).
 * Without TLS the host is often `localhost`, where apps on all ports share cookies. So the session cookie's name then
 * contains `latchkey`, to differ from the cookies of other apps.
 */
function cookies(issuer: string, ring: RingSnapshot): NonNullable<Configuration['cookies']> {
  const secure = issuer.startsWith('https:');
  const options = { httpOnly: true, sameSite: 'lax', secure, signed: true } as const;
  return {
    keys: [...ring.cookieKeys],
    names: {
      session: sessionCookie({ secure }),
      ...ENGINE_COOKIES,
    },
    long: options,
    short: options,
  };
}
