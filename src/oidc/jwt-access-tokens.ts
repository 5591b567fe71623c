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

interface Parts {
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
  return (engine: Find, parts: Parts): Find => {
    const { provider } = parts;
    const verify = verifyOurs({ issuer: parts.config.issuer, ring: parts.ring });
    return async (value, options) => {
      const opaque = await engine.call(provider[name], value, options);
      if (opaque === undefined) return read(value, provider[name], parts, verify);
      return routeIs('revocation') ? givenBack(opaque, { record: recordOf(opaque) }) : opaque;
    };
  };
}

/**
 * Accepts JWTs at introspection and revocation, which the engine would refuse. The engine's step still refuses a token
 * that is encrypted for an API, because this server cannot read it (RFC 7009 §2.2.1).
 */
export function unlessEncrypted(engine: EngineStep): EngineStep {
  return (context, next) => {
    const token = String(context.oidc.params?.['token']);
    return token.split('.').length === 5 ? engine(context, next) : next();
  };
}

/** Status reference or record key of each access token that a current request revokes. */
const places = new WeakMap<AnyAccessToken, TokenTarget['token']>();

/**
 * Revokes an access token by the server's own `revoke`, where the engine would delete it. Nothing else is revoked with
 * the token.
 */
export function destroyAccessToken(engine: () => Promise<void>, { revoke }: { revoke: Revoke }) {
  return async function destroy(this: AnyAccessToken): Promise<void> {
    const token = places.get(this);
    if (token === undefined) return engine.call(this);
    const { clientId: client = '' } = this;
    const account = this.kind === 'AccessToken' ? { account: this.accountId } : {};
    return revoke({ what: 'token', client, ...account, token }, 'token-revoked');
  };
}

/** Notes the token for revocation, and removes its grant id so that the engine does not revoke the grant too. */
function givenBack<T extends AnyAccessToken>(token: T, place: TokenTarget['token']): T {
  places.set(token, place);
  return Object.assign(token, { grantId: undefined });
}

function routeIs(name: string): boolean {
  return Provider.ctx?.oidc.route === name;
}

/**
 * Tokens parsed from JWTs, by request. The engine asks each of its token classes, but the JWT is verified only once.
 */
const reads = new WeakMap<KoaContextWithOIDC, Promise<AnyAccessToken | undefined>>();

async function read(
  value: string,
  Model: object,
  parts: Parts,
  verify: VerifyOurs,
): Promise<AnyAccessToken | undefined> {
  const { ctx } = Provider;
  if (ctx === undefined || !READING_ROUTES.some(routeIs)) return undefined;
  const found = reads.get(ctx) ?? readJwt(value, parts, verify);
  reads.set(ctx, found);
  const token = await found;
  return token?.constructor === Model ? token : undefined;
}

async function readJwt(value: string, parts: Parts, verify: VerifyOurs): Promise<AnyAccessToken | undefined> {
  const { provider } = parts;
  const said = await readAccessToken(verify, value);
  const client = said && (await provider.Client.find(said.client_id));
  const claims = said && client && aboutAccount(said, client, parts.subjectNames);
  if (claims === undefined || client === undefined) return undefined;
  const token = tokenFrom(provider, claims, client);
  if (routeIs('revocation')) return givenBack(token, claims.status.status_list);
  if (!(await stands(provider, claims, parts))) return undefined;
  return routeIs('userinfo') ? forUserinfo(provider, claims, client) : token;
}

/** Replaces `sub`, which may be the client's pairwise subject, by the account id. */
function aboutAccount(
  claims: AccessTokenClaims,
  client: Client,
  subjectNames: SubjectNames,
): AccessTokenClaims | undefined {
  if (!isPerson(claims.sub)) return claims;
  const sub = subjectNames.accountFor(claims.sub, policyOf(client).sector);
  return sub === undefined ? undefined : { ...claims, sub };
}

/** Tells whether a `sub` names an account. No client id begins with this prefix. */
function isPerson(sub: string): boolean {
  return sub.startsWith('acc_');
}

/**
 * Converts an API's token into one for /userinfo, with the OpenID Connect scopes of its grant. Many libraries send the
 * only token that they have. The converted token allows no more than a token without a resource, which the client could
 * get under the same grant. @throws errors.InvalidToken if the client's policy does not allow this, or if the grant is
 * not the client's
 */
async function forUserinfo({ AccessToken, Grant }: Provider, claims: AccessTokenClaims, client: Client) {
  const { sub, aud, jti, iat, exp, sid, grant_id: grantId, cnf } = claims;
  if (!policyOf(client).apiTokensAtUserinfo) throw notForUserinfo(aud);
  if (grantId === undefined) throw notForUserinfo(aud);
  const grant = await Grant.find(grantId);
  if (grant?.clientId !== client.clientId) throw notForUserinfo(aud);
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

function notForUserinfo(audience: string): Error {
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
  if (!isPerson(sub)) return new ClientCredentials({ ...common, extra: { ...more, sub } });
  // `stands` checks the grant. The engine would refuse an exchanged token, whose grant belongs to another client.
  return new AccessToken({ ...common, accountId: sub, sid, grantId: '', gty: '', extra: more });
}

/**
 * Tells whether the token's status, grant and client are still valid. The introspection policy and /userinfo check the
 * account later.
 */
async function stands(
  { Grant, Client }: Provider,
  { sub, grant_id: grantId, status }: AccessTokenClaims,
  parts: Parts,
): Promise<boolean> {
  if (await parts.status.isRevoked(status.status_list)) return false;
  if (grantId !== undefined) return (await Grant.find(grantId))?.accountId === sub;
  return isPerson(sub) || (await Client.find(sub)) !== undefined;
}
