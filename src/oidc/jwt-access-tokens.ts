import {
  errors,
  Provider,
  type AccessToken,
  type Client,
  type ClientCredentials,
  type KoaContextWithOIDC,
} from 'oidc-provider';
import type { SubjectNames } from '../accounts/pairwise.ts';
import type { Config } from '../config/schema.ts';
import type { Revoke, TokenTarget } from '../events/events.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import type { Revoker } from '../status/revoker.ts';
import { policyOf } from './clients/client-metadata.ts';
import type { EngineStep } from './internals.ts';
import { readAccessToken, verifyOurs, type AccessTokenClaims, type VerifyOurs } from './requests/issued-jwt.ts';
import { recordOf } from './storage/adapter.ts';

/** The engine's names for the routes that accept a JWT access token. */
const READING_ROUTES = ['introspection', 'revocation', 'userinfo'];

type AnyAccessToken = AccessToken | ClientCredentials;
type Find = (value: string, options?: object) => Promise<AnyAccessToken | undefined>;

interface AccessTokenDependencies {
  provider: Provider;
  config: Pick<Config, 'issuer'>;
  ring: Pick<RingSnapshot, 'published'>;
  status: Pick<Revoker, 'isRevoked'>;
  subjectNames: SubjectNames;
  revoke: Revoke;
}

/**
 * Makes the engine find JWT access tokens as it finds opaque ones, for introspection (RFC 7662), revocation (RFC 7009)
 * and /userinfo. Revoking an access token of either form revokes only that token; to revoke the whole grant, a client
 * revokes its refresh token. @param name the engine class whose `find` is replaced
 */
export function findAccessToken(name: 'AccessToken' | 'ClientCredentials') {
  return (engine: Find, dependencies: AccessTokenDependencies): Find => {
    const { provider } = dependencies;
    const verify = verifyOurs({ issuer: dependencies.config.issuer, ring: dependencies.ring });
    return async (value, options) => {
      const opaque = await engine.call(provider[name], value, options);
      if (opaque === undefined) return read(value, provider[name], dependencies, verify);
      return routeIs('revocation') ? markForRevocation(opaque, { record: recordOf(opaque) }) : opaque;
    };
  };
}

/**
 * Accepts JWTs at introspection and revocation, which the engine would refuse. The engine's step still refuses a token
 * that is encrypted for an API, because this server cannot read it (RFC 7009 §2.2.1).
 */
export function acceptUnlessEncrypted(engine: EngineStep): EngineStep {
  return (context, next) => {
    const token = String(context.oidc.params?.['token']);
    return token.split('.').length === 5 ? engine(context, next) : next();
  };
}

/** Status reference or record key of each access token that a current request revokes. */
const revocationTargets = new WeakMap<AnyAccessToken, TokenTarget['token']>();

/**
 * Revokes an access token by the server's own `revoke`, where the engine would delete it. Nothing else is revoked with
 * the token.
 */
export function destroyAccessToken(engine: () => Promise<void>, { revoke }: { revoke: Revoke }) {
  return async function destroy(this: AnyAccessToken): Promise<void> {
    const token = revocationTargets.get(this);
    if (token === undefined) return engine.call(this);
    const { clientId: client = '' } = this;
    const account = this.kind === 'AccessToken' ? { account: this.accountId } : {};
    return revoke({ what: 'token', client, ...account, token }, 'token-revoked');
  };
}

/** Notes the token for revocation, and removes its grant id so that the engine does not revoke the grant too. */
function markForRevocation<T extends AnyAccessToken>(token: T, target: TokenTarget['token']): T {
  revocationTargets.set(token, target);
  return Object.assign(token, { grantId: undefined });
}

function routeIs(name: string): boolean {
  return Provider.ctx?.oidc.route === name;
}

/**
 * Tokens parsed from JWTs, by request. The engine asks each of its token classes, but the JWT is verified only once.
 */
const parsedTokens = new WeakMap<KoaContextWithOIDC, Promise<AnyAccessToken | undefined>>();

async function read(
  value: string,
  Model: object,
  dependencies: AccessTokenDependencies,
  verify: VerifyOurs,
): Promise<AnyAccessToken | undefined> {
  const { ctx } = Provider;
  if (ctx === undefined || !READING_ROUTES.some(routeIs)) return undefined;
  const found = parsedTokens.get(ctx) ?? readJwt(value, dependencies, verify);
  parsedTokens.set(ctx, found);
  const token = await found;
  return token?.constructor === Model ? token : undefined;
}

async function readJwt(
  value: string,
  dependencies: AccessTokenDependencies,
  verify: VerifyOurs,
): Promise<AnyAccessToken | undefined> {
  const { provider } = dependencies;
  const verified = await readAccessToken(verify, value);
  const client = verified && (await provider.Client.find(verified.client_id));
  const claims = verified && client && withAccountId(verified, client, dependencies.subjectNames);
  if (claims === undefined || client === undefined) return undefined;
  const token = tokenFrom(provider, claims, client);
  if (routeIs('revocation')) return markForRevocation(token, claims.status.status_list);
  if (!(await isStillValid(provider, claims, dependencies))) return undefined;
  return routeIs('userinfo') ? toUserinfoToken(provider, claims, client) : token;
}

/** Replaces `sub`, which may be the client's pairwise subject, by the account id. */
function withAccountId(
  claims: AccessTokenClaims,
  client: Client,
  subjectNames: SubjectNames,
): AccessTokenClaims | undefined {
  if (!isAccountId(claims.sub)) return claims;
  const sub = subjectNames.accountFor(claims.sub, policyOf(client).sector);
  return sub === undefined ? undefined : { ...claims, sub };
}

/** Tells whether a `sub` names an account. No client id begins with this prefix. */
function isAccountId(sub: string): boolean {
  return sub.startsWith('acc_');
}

/**
 * Converts an API's token into one for /userinfo, with the OpenID Connect scopes of its grant. Many libraries send the
 * only token that they have. The converted token allows no more than a token without a resource, which the client could
 * get under the same grant. @throws errors.InvalidToken if the client's policy does not allow this, or if the grant is
 * not the client's
 */
async function toUserinfoToken({ AccessToken, Grant }: Provider, claims: AccessTokenClaims, client: Client) {
  const { sub, aud, jti, iat, exp, sid, grant_id: grantId, cnf } = claims;
  if (!policyOf(client).apiTokensAtUserinfo) throw userinfoRefusal(aud);
  if (grantId === undefined) throw userinfoRefusal(aud);
  const grant = await Grant.find(grantId);
  if (grant?.clientId !== client.clientId) throw userinfoRefusal(aud);
  return new AccessToken({
    client,
    jti,
    iat,
    exp,
    sid,
    ...cnf,
    accountId: sub,
    grantId,
    gty: '',
    scope: grant.getOIDCScope(),
  });
}

function userinfoRefusal(audience: string): Error {
  const why = `this access token is for ${audience}; /userinfo takes one without a resource, or of a client with api_tokens_at_userinfo, which first_party brings`;
  return Object.assign(new errors.InvalidToken(why), { error_description: why });
}

/**
 * Makes the engine's token object from the claims. A subject that is not a person is a client: the token's own or,
 * after a token exchange, another one.
 */
function tokenFrom({ AccessToken, ClientCredentials }: Provider, claims: AccessTokenClaims, client: Client) {
  const {
    iss: _ours,
    sub,
    client_id: _client,
    aud,
    jti,
    iat,
    exp,
    scope,
    sid,
    cnf,
    authorization_details,
    ...more
  } = claims;
  const common = { client, aud, jti, iat, exp, scope, ...cnf, rar: authorization_details };
  if (!isAccountId(sub)) return new ClientCredentials({ ...common, extra: { ...more, sub } });
  // `isStillValid` checks the grant. The engine would refuse an exchanged token, whose grant belongs to another client.
  return new AccessToken({ ...common, accountId: sub, sid, grantId: '', gty: '', extra: more });
}

/**
 * Tells whether the token's status, grant and client are still valid. The introspection policy and /userinfo check the
 * account later.
 */
async function isStillValid(
  { Grant, Client }: Provider,
  { sub, grant_id: grantId, status }: AccessTokenClaims,
  dependencies: AccessTokenDependencies,
): Promise<boolean> {
  if (await dependencies.status.isRevoked(status.status_list)) return false;
  if (grantId !== undefined) return (await Grant.find(grantId))?.accountId === sub;
  return isAccountId(sub) || (await Client.find(sub)) !== undefined;
}
