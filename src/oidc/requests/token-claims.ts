import type { AccessToken, Client, ClientCredentials, KoaContextWithOIDC, UnknownObject } from 'oidc-provider';
import type { Account } from '../../accounts/account.ts';
import type { SubjectNames } from '../../accounts/pairwise.ts';
import type { ResourceConfig } from '../../config/schema.ts';
import { policyOf } from '../clients/client-metadata.ts';
import { mappedClaims, type Person } from '../../accounts/claims.ts';
import { placed } from '../../config/sections/claims-schema.ts';
import type { AccountOf } from './request-account.ts';

const presetClaims = new WeakMap<object, UnknownObject>();

/** Sets claims of an access token for a grant type that determines them itself, such as token exchange. */
export function setTokenClaims(token: AccessToken, claims: UnknownObject): void {
  presetClaims.set(token, claims);
}

/**
 * Adds claims to an access token: the person's roles, how and when they signed in (RFC 9068 §2.2.1, §2.2.3.1), and the
 * grant, so that a token exchange can check it. An API may give access by a role alone, so a third-party app gets roles
 * only with the person's consent.
 */
export async function accessTokenClaims(
  context: KoaContextWithOIDC,
  token: AccessToken | ClientCredentials,
  {
    accountOf,
    subjectNames,
    resources,
  }: { accountOf: AccountOf; subjectNames: SubjectNames; resources: readonly ResourceConfig[] },
): Promise<UnknownObject | undefined> {
  const preset = presetClaims.get(token);
  const source = sourceOf(context);
  const account = token.kind === 'AccessToken' ? await accountOf(context, token.accountId) : undefined;
  const added = operatorClaims(context, token, { source, account, subjectNames, resources });
  if (preset !== undefined) return { ...added, ...preset };
  if (token.kind !== 'AccessToken') return { ...added, ...mayAct(context.oidc.client) };
  return omitUndefined({
    ...added,
    roles: mayReceiveClaims('roles', context, source) ? account?.roles : undefined,
    acr: source?.acr,
    amr: source?.amr,
    auth_time: source?.authTime,
    sid: source?.sid,
    // The record of an opaque token already contains the grant.
    grant_id: token.aud === undefined || token.grantId === '' ? undefined : token.grantId,
    ...mayAct(context.oidc.client),
  });
}

interface Source {
  scopes: Set<string>;
  acr?: string | undefined;
  amr?: string[] | undefined;
  authTime?: number | undefined;
  sid?: string | undefined;
}

/**
 * Finds the record that describes the person's sign-in. For a token issued through the browser, this is the session
 * itself.
 */
function sourceOf({ oidc }: KoaContextWithOIDC): Source | undefined {
  const { RotatedRefreshToken, AuthorizationCode, DeviceCode, BackchannelAuthenticationRequest } = oidc.entities;
  const source = RotatedRefreshToken ?? AuthorizationCode ?? DeviceCode ?? BackchannelAuthenticationRequest;
  const { client, session } = oidc;
  if (source !== undefined || client === undefined || session?.accountId === undefined) return source;
  const { acr, amr } = session;
  const [authTime, sid] = [session.authTime(), session.sidFor(client.clientId)];
  return { acr, amr, authTime, sid, scopes: oidc.requestParamScopes };
}

/**
 * Tells whether an app may receive the claims of a scope: the app is the operator's own, or the person has granted the
 * scope.
 */
function mayReceiveClaims(
  scope: string,
  { oidc: { client, grant } }: KoaContextWithOIDC,
  source: Source | undefined,
): boolean {
  if (client !== undefined && isFirstPartyWebApp(client)) return true;
  const isGranted = grant?.getOIDCScopeFiltered(new Set([scope])) === scope;
  return isGranted && source?.scopes.has(scope) === true;
}

/**
 * Returns the claims that the operator adds for the client or the API. A token without an API gets none, because it is
 * for this server alone.
 */
function operatorClaims(
  context: KoaContextWithOIDC,
  token: AccessToken | ClientCredentials,
  {
    source,
    account,
    subjectNames,
    resources,
  }: {
    source: Source | undefined;
    account: Account | undefined;
    subjectNames: SubjectNames;
    resources: readonly ResourceConfig[];
  },
): UnknownObject {
  const { client } = context.oidc;
  if (client === undefined || token.aud === undefined) return {};
  const sub = account && subjectNames.subjectFor(account.id, policyOf(client).sector);
  const isOpen = (scope: string) => mayReceiveClaims(scope, context, source);
  const person = account && sub !== undefined ? { account, sub, isOpen } : undefined;
  return operatorTokenClaims({ client, audience: token.aud, resources }, 'access_token', person);
}

/** Returns the `may_act` claim (RFC 8693 §4.4), which names the actor allowed to use this client's tokens. */
export function mayAct(client: Client | undefined): UnknownObject {
  const actor = client && policyOf(client).mayAct;
  return actor === undefined ? {} : { may_act: { sub: actor } };
}

export function omitUndefined(claims: UnknownObject): UnknownObject {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}

/**
 * Symbol under which an account's claims carry the operator's claims. They cannot be ordinary members, because the
 * engine knows only claim names that all clients share.
 */
const OPERATOR_CLAIMS = Symbol('claims that the operator added');

type WithOperatorClaims = UnknownObject & { [OPERATOR_CLAIMS]?: Record<string, unknown> };

/**
 * Tells whether an app is the operator's own, so that it needs no scope for claims. A native app does not count,
 * because other software can imitate it (RFC 8252 §8.6).
 */
export function isFirstPartyWebApp(client: Client): boolean {
  return client.applicationType === 'web' && policyOf(client).firstParty;
}

/** Adds the operator's claims for a client's ID tokens, or for /userinfo, to the claims of its scopes. */
export function withOperatorClaims(
  claims: UnknownObject,
  place: 'id_token' | 'userinfo',
  { client, person }: { client: Client; person: Person },
): UnknownObject {
  return { ...claims, [OPERATOR_CLAIMS]: mappedClaims(policyOf(client).claims, place, person) };
}

interface EngineClaims {
  available: WithOperatorClaims;
  result(): Promise<UnknownObject>;
}

/** Adds the operator's claims to the account claims that the engine returns. */
export function resultWithOperatorClaims(engine: EngineClaims['result']) {
  return async function result(this: EngineClaims): Promise<UnknownObject> {
    const { [OPERATOR_CLAIMS]: added } = this.available;
    return { ...(await engine.call(this)), ...added };
  };
}

/** Returns the operator's claims for an API's access token or its introspection. */
export function operatorTokenClaims(
  { client, audience, resources }: { client: Client; audience: unknown; resources: readonly ResourceConfig[] },
  place: 'access_token' | 'introspection',
  person: Person | undefined,
): Record<string, unknown> {
  const { claims = {} } = resources.find(({ identifier }) => identifier === audience) ?? {};
  return {
    ...mappedClaims(policyOf(client).claims, place, person),
    ...mappedClaims(placed(claims, 'resource'), place, person),
  };
}
