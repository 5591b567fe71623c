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

/** The engine's route names of the endpoints that accept a JWT access token. */
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
 * Makes the engine find JWT access tokens like others: for introspection (RFC 7662), revocation (RFC 7009) and
 * /userinfo. Revoking an access token revokes it alone, whatever its form; to revoke the whole grant, a client revokes
 * the refresh token. @param name the class whose `find` this is
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
 * Accepts JWTs for introspection and revocation, and treats tokens encrypted for an API as the engine treats unknown
 * ones (RFC 7009 §2.2.1).
 */
export function unlessEncrypted(engine: EngineStep): EngineStep {
  return (context, next) => {
    const token = String(context.oidc.params?.['token']);
    return token.split('.').length === 5 ? engine(context, next) : next();
  };
}

/** Status references or records of the access tokens that the current requests revoke. */
const places = new WeakMap<AnyAccessToken, TokenTarget['token']>();

/** Revokes an access token for a client through the single way to revoke, and nothing else. */
export function destroyAccessToken(engine: () => Promise<void>, { revoke }: { revoke: Revoke }) {
  return async function destroy(this: AnyAccessToken): Promise<void> {
    const token = places.get(this);
    if (token === undefined) return engine.call(this);
    const { clientId: client = '' } = this;
    const account = this.kind === 'AccessToken' ? { account: this.accountId } : {};
    return revoke({ what: 'token', client, ...account, token }, 'token-revoked');
  };
}

/** Makes the engine's deletion of a token revoke only that token: without a grant, nothing else follows. */
function givenBack<T extends AnyAccessToken>(token: T, place: TokenTarget['token']): T {
  places.set(token, place);
  return Object.assign(token, { grantId: undefined });
}

function routeIs(name: string): boolean {
  return Provider.ctx?.oidc.route === name;
}

/** Tokens that current requests have parsed from JWTs. The engine looks for a token in each of its classes. */
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

/** Replaces the client's subject of the account by the account id. */
function aboutAccount(
  claims: AccessTokenClaims,
  client: Client,
  subjectNames: SubjectNames,
): AccessTokenClaims | undefined {
  if (!isPerson(claims.sub)) return claims;
  const sub = subjectNames.accountFor(claims.sub, policyOf(client).sector);
  return sub === undefined ? undefined : { ...claims, sub };
}

/** Client ids never begin like account ids. */
function isPerson(sub: string): boolean {
  return sub.startsWith('acc_');
}

/**
 * Returns the token as one for /userinfo, with the OpenID Connect scopes of its grant, because many libraries send the
 * only token that they have. It opens no more than a token without a resource, which the grant would give the client
 * too. @throws errors.InvalidToken if the client may not do that
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

/** Without a person the subject is a client: the token's own or another. */
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
  // Its grant is checked here, because an exchanged token's grant belongs to another client.
  return new AccessToken({ ...common, accountId: sub, sid, grantId: '', gty: '', extra: more });
}

/** Tells whether the token's grant, client and status are still valid. The engine's policy checks the account. */
async function stands(
  { Grant, Client }: Provider,
  { sub, grant_id: grantId, status }: AccessTokenClaims,
  parts: Parts,
): Promise<boolean> {
  if (await parts.status.isRevoked(status.status_list)) return false;
  if (grantId !== undefined) return (await Grant.find(grantId))?.accountId === sub;
  return isPerson(sub) || (await Client.find(sub)) !== undefined;
}
