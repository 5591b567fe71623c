import type { Adapter, Client, Configuration } from 'oidc-provider';
import { accountClaims, claimsOfScope, scopesOfClaims } from '../accounts/claims.ts';
import type { Consents } from '../accounts/consents.ts';
import type { Clients } from '../clients/clients.ts';
import { responseTypesOf } from '../config/deprecated.ts';
import type { Config } from '../config/schema.ts';
import { STANDARD_SCOPES } from '../config/standard-scopes.ts';
import type { Announce } from '../events/events.ts';
import type { Views } from '../http/view.ts';
import type { ExternalSigning } from '../keys/external-signing.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { outgoingFetch } from '../outgoing/outgoing-fetch.ts';
import type { Store } from '../storage/store.ts';
import { algorithms, authMethods } from './algorithms.ts';
import type { BackchannelRequests } from './backchannel-requests.ts';
import type { MutualTls } from './clients/client-certificates.ts';
import { clientMetadata, POLICY, policyOf, rulesOf } from './clients/client-metadata.ts';
import { metadataDocuments } from './clients/metadata-documents.ts';
import { needsChallenge, refuseFaulty, rotatesRefreshTokens } from './clients/profile-rules.ts';
import { devicePages } from './device-pages.ts';
import { endpoints } from './endpoints.ts';
import { existingGrant } from './existing-grant.ts';
import { promptPolicy } from './interaction-policy.ts';
import { lifetimes } from './lifetimes.ts';
import { enginePages, type EnginePages } from './pages.ts';
import { richAuthorizationRequests } from './requests/authorization-details.ts';
import { assertClaimsParameter } from './requests/claims-parameter.ts';
import { assertClientAssertion } from './requests/client-assertion.ts';
import type { AccountOf } from './requests/request-account.ts';
import { requestObjects } from './requests/request-objects.ts';
import { resourceIndicators } from './requests/resource-indicators.ts';
import { accessTokenClaims } from './requests/token-claims.ts';
import { statusClaim } from './requests/token-status.ts';
import type { TokenStatus } from '../status/status.ts';
import { transmitterOf } from './requests/transmitter.ts';
import { engineKeys } from './signing-keys.ts';
import { adapterFactory } from './storage/adapter.ts';
import { openUserCodes } from './storage/user-codes.ts';

export interface EngineParts {
  config: Config;
  ring: RingSnapshot;
  signatures: ExternalSigning;
  grants: Store;
  clients: Clients;
  consents: Consents;
  accountOf: AccountOf;
  views: Views;
  adapters: Readonly<Record<string, Adapter>>;
  announce: Announce;
  backchannel: BackchannelRequests;
  /** Told before a client is given anything of an account's. */
  introduce: (account: string, client: string) => Promise<void>;
  mTLS: MutualTls;
  status: Pick<TokenStatus, 'assign' | 'isRevoked'>;
  clock: Clock;
  random: Random;
}

/** How a person is known to have signed in, weakest first (NIST SP 800-63B, authenticator assurance levels). */
const acrValues = ['aal1'];

/** Everything that the engine leaves to its host, as one configuration. */
export function engineConfiguration(parts: EngineParts): Configuration {
  const { config, ring, accountOf, mTLS } = parts;
  const pages = enginePages(parts.views, accountOf);
  const requests = requestObjects(parts.clock);
  return {
    ...storage(parts),
    extraClientMetadata: { properties: [POLICY], validator: refuseFaulty },
    clientAuthMethods: authMethods(mTLS),
    assertJwtClientAuthClaimsAndHeader: assertClientAssertion(config.issuer, parts.clock),
    clientBasedCORS: (_context, origin, client) => policyOf(client).origins.includes(origin),
    jwks: { keys: engineKeys(ring.signing, parts.signatures) },
    enabledJWA: algorithms(config, ring),

    scopes: [...STANDARD_SCOPES],
    claims: claimNames,
    acrValues,
    // An app that asks for an API's token has none for /userinfo: the ID token tells it who signed in.
    conformIdTokenClaims: false,
    responseTypes: responseTypesOf(config),
    pkce: { required: needsChallenge },
    subjectTypes: ['public'],
    ttl: lifetimes(config, parts.clock),

    findAccount: accountFinder(accountOf),
    loadExistingGrant: (context) => existingGrant(context, parts),
    issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: ({ oidc }) => oidc.client === undefined || rotatesRefreshTokens(oidc.client),
    // A device stays signed in when the browser in which it was let in signs out.
    expiresWithSession: (_context, source) => source.kind !== 'DeviceCode' && !source.scopes.has('offline_access'),
    extraTokenClaims: async (context, token) => {
      const [claims, status] = await Promise.all([
        accessTokenClaims(context, token, accountOf),
        statusClaim(context, token, parts),
      ]);
      return { ...claims, ...status };
    },
    interactions: { policy: promptPolicy(), url: (_context, interaction) => `/interaction/${interaction.uid}` },
    cookies: cookies(config.issuer, ring),
    ...endpoints(config),
    fetch: outgoingFetch(config.outgoing),
    renderError: pages.renderError,

    // The engine's one hook between the last check of a request and what it does about it.
    extraParams: { client_id: (context, _value, client) => requests.claimRequestObject(context, client) },
    features: { ...features(parts, pages, requests), mTLS },
  };
}

/** Where the engine keeps what it must remember, and the clients that it need not look up. */
function storage(parts: EngineParts): Pick<Configuration, 'adapter' | 'clients'> {
  const { ring, clients } = parts;
  const { profile } = parts.config;
  return {
    adapter: adapterFactory({
      ...parts,
      userCodes: openUserCodes({ ...parts, key: ring.derive('user codes') }),
      scopes: STANDARD_SCOPES,
      profile,
      canSign: () => parts.signatures.ready(),
    }),
    clients: clients.configured.map((client) => clientMetadata(client, { engineScopes: STANDARD_SCOPES, profile })),
  };
}

function features(
  parts: EngineParts,
  pages: EnginePages,
  requests: ReturnType<typeof requestObjects>,
): NonNullable<Configuration['features']> {
  const { config, ring, accountOf } = parts;
  return {
    clientIdMetadataDocument: metadataDocuments(parts),
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    ciba: parts.backchannel.feature,
    deviceFlow: devicePages({ ...parts, resources: config.resources }, pages),
    encryption: { enabled: true },
    // Experimental in the engine: "ack" says that its form may change, which the tests with a real token would show.
    externalSigningSupport: { enabled: true, ack: 'experimental-01' },
    jwtUserinfo: { enabled: true },
    jwtResponseModes: { enabled: true },
    jwtIntrospection: { enabled: true },
    requestObjects: { enabled: true, assertJwtClaimsAndHeader: requests.assertRequestObject },
    // All that the engine's profile does is to have the redirect URI named; the rest is up to ours.
    fapi: {
      enabled: true,
      profile: (_context, client) => (rulesOf(client).namesRedirect ? '2.0' : undefined),
    },
    dPoP: { enabled: true, nonceSecret: ring.derive('dpop nonce') },
    introspection: {
      enabled: true,
      allowedPolicy: async (context, client, token) => {
        if (token.clientId !== client.clientId && !mayIntrospect(client, token)) return false;
        // A token of an account that may not be used is worth nothing.
        const accountId = token.kind === 'ClientCredentials' ? undefined : token.accountId;
        return accountId === undefined || (await accountOf(context, accountId)) !== undefined;
      },
    },
    resourceIndicators: resourceIndicators({
      resources: config.resources,
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

/** A resource server is told of what is for it, and of nothing else (RFC 7662 §4, RFC 9701 §5). */
function mayIntrospect(client: Client, token: object): boolean {
  const { introspects } = policyOf(client);
  if (typeof introspects === 'boolean') return introspects;
  return 'aud' in token && introspects.some((identifier) => identifier === token.aud);
}

function accountFinder(accountOf: AccountOf): NonNullable<Configuration['findAccount']> {
  return async (context, id) => {
    const account = await accountOf(context, id);
    if (account === undefined) return undefined;
    return {
      accountId: account.id,
      claims: (_use, scope, claims) => ({
        ...accountClaims(account, [...scope.split(' '), ...scopesOfClaims(Object.keys(claims))]),
      }),
    };
  };
}

/** The claims that each scope opens; how and when the person signed in is in every ID token. */
const claimNames = {
  ...claimsOfScope,
  openid: [...claimsOfScope.openid, 'acr', 'amr', 'auth_time'],
  sid: null,
  iss: null,
};

/** `__Host-` ties a cookie to this very host; browsers accept it only over TLS (RFC 6265bis §4.1.3.2). */
function cookies(issuer: string, ring: RingSnapshot): NonNullable<Configuration['cookies']> {
  const secure = issuer.startsWith('https:');
  const options = { httpOnly: true, sameSite: 'lax', secure, signed: true } as const;
  return {
    keys: [...ring.cookieKeys],
    names: {
      session: secure ? '__Host-session' : 'session',
      interaction: secure ? '__Secure-interaction' : 'interaction',
      resume: secure ? '__Secure-resume' : 'resume',
    },
    long: options,
    short: options,
  };
}
