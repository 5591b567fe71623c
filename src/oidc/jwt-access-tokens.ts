import {
  Provider,
  type AccessToken,
  type Client,
  type ClientCredentials,
  type KoaContextWithOIDC,
} from 'oidc-provider';
import type { Revoke, TokenTarget } from '../events/revocations.ts';
import type { RingSnapshot } from '../keys/ring.ts';
import type { Revoker } from '../status/revoker.ts';
import { readAccessToken, verifyOurs, type AccessTokenClaims } from './requests/issued-jwt.ts';
import { recordOf } from './storage/adapter.ts';

type AnyAccessToken = AccessToken | ClientCredentials;
type Find = (value: string, options?: object) => Promise<AnyAccessToken | undefined>;

interface Parts {
  issuer: string;
  ring: Pick<RingSnapshot, 'published'>;
  status: Pick<Revoker, 'isRevoked'>;
  revoke: Revoke;
}

/**
 * JWT access tokens as the engine knows others, where a client asks what one is worth (RFC 7662) or gives one back
 * (RFC 7009): nowhere else does one that is for an API open anything here. An access token is given back alone, whatever
 * its form: who wants to end all of a grant gives back the refresh token.
 */
export function knowJwtAccessTokens(provider: Provider, parts: Parts): void {
  const read = readOnce(provider, parts);
  for (const Model of [provider.AccessToken, provider.ClientCredentials]) {
    const find = Reflect.get<{ find: Find }, 'find'>(Model, 'find').bind(Model);
    const findAny: Find = async (value, options) => {
      const opaque = await find(value, options);
      if (opaque === undefined) return read(value, Model);
      return routeIs('revocation') ? givenBack(opaque, { record: recordOf(opaque) }, parts.revoke) : opaque;
    };
    Object.assign(Model, { find: findAny });
  }
}

function routeIs(name: string): boolean {
  return Provider.ctx?.oidc.route === name;
}

/** The engine looks for a token in each of its models; a JWT is read once for a request. */
function readOnce(provider: Provider, parts: Parts) {
  const verify = verifyOurs(parts);
  const reads = new WeakMap<KoaContextWithOIDC, Promise<AnyAccessToken | undefined>>();
  const read = async (value: string): Promise<AnyAccessToken | undefined> => {
    const claims = await readAccessToken(verify, value);
    const client = claims && (await provider.Client.find(claims.client_id));
    if (claims === undefined || client === undefined) return undefined;
    const token = tokenFrom(provider, claims, client);
    if (routeIs('revocation')) return givenBack(token, claims.status.status_list, parts.revoke);
    return (await stands(provider, claims, parts)) ? token : undefined;
  };
  return async (value: string, Model: object): Promise<AnyAccessToken | undefined> => {
    const { ctx } = Provider;
    if (ctx === undefined || !(routeIs('introspection') || routeIs('revocation'))) return undefined;
    const found = reads.get(ctx) ?? read(value);
    reads.set(ctx, found);
    const token = await found;
    return token?.constructor === Model ? token : undefined;
  };
}

/** No client's name begins as those of accounts do. Where there is no person, a client speaks, its own or another's. */
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
  if (!sub.startsWith('acc_')) return new ClientCredentials({ ...common, extra: { ...more, sub } });
  // Its grant is looked at here: that of a token that was exchanged is another client's.
  return new AccessToken({ ...common, accountId: sub, sid, grantId: '', gty: '', extra: more });
}

/** Whether nothing of what a token came from has ended; the engine's policy looks at the account. */
async function stands(
  { Grant, Client }: Provider,
  { sub, grant_id: grantId, status }: AccessTokenClaims,
  parts: Parts,
): Promise<boolean> {
  if (await parts.status.isRevoked(status.status_list)) return false;
  if (grantId !== undefined) return (await Grant.find(grantId))?.accountId === sub;
  return sub.startsWith('acc_') || (await Client.find(sub)) !== undefined;
}

/** Has the engine's deletion of a token take it back in the one way, and nothing besides. */
function givenBack<T extends AnyAccessToken>(token: T, place: TokenTarget['token'], revoke: Revoke): T {
  const { clientId: client = '' } = token;
  const account = token.kind === 'AccessToken' ? { account: token.accountId } : {};
  const destroy = () => revoke({ what: 'token', client, ...account, token: place }, 'token-revoked');
  return Object.assign(token, { grantId: undefined, destroy });
}
