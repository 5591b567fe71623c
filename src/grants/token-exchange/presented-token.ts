import { errors as joseErrors } from 'jose';
import type { Client, TokenEndpointGrantContext } from 'oidc-provider';
import { z } from 'zod';
import type { Account } from '../../accounts/account.ts';
import type { SubjectNames } from '../../accounts/pairwise.ts';
import type { ClientConfig } from '../../config/schema.ts';
import type { RingSnapshot } from '../../keys/ring.ts';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import { policyOf } from '../../oidc/clients/client-metadata.ts';
import { statusSchema, verifyAccessToken, verifyOurs, type VerifyOurs } from '../../oidc/requests/issued-jwt.ts';
import type { AccountOf } from '../../oidc/requests/request-account.ts';
import { sessionNamed } from '../../sessions/session-records.ts';
import type { Revoker } from '../../status/revoker.ts';
import type { Store } from '../../storage/store.ts';
import { actSchema, mayActSchema } from './actors.ts';
import { omitUndefined } from '../../oidc/requests/token-claims.ts';
import { unacceptable, type Role, type PresentedType } from './token-types.ts';

/** The claims that a token exchange reads from a presented token (RFC 9068 §2.2 and RFC 8693 §4). */
const claimsSchema = z.object({
  sub: z.string().min(1),
  /** The client that received the token. */
  client_id: z.string().min(1),
  exp: z.number(),
  scope: z.string().default(''),
  roles: z.array(z.string()).default([]),
  acr: z.string().optional(),
  amr: z.array(z.string()).optional(),
  auth_time: z.number().optional(),
  sid: z.string().optional(),
  grant_id: z.string().optional(),
  status: statusSchema.optional(),
  act: actSchema.optional(),
  may_act: mayActSchema.optional(),
  cnf: z.strictObject({ jkt: z.string().optional(), 'x5t#S256': z.string().optional() }).optional(),
});

export type Policy = NonNullable<ClientConfig['token_exchange']>;

/** A valid token of this server that the client may exchange. */
export interface PresentedToken extends z.infer<typeof claimsSchema> {
  /** The account of the token's person; absent if a client acts for itself. */
  account?: Account;
  /** The client of the token's grant; absent if the token has no grant. */
  grant_client?: string;
}

interface Presented {
  role: Role;
  type: PresentedType;
  token: string;
}

export interface PresentedTokenDependencies {
  issuer: string;
  ring: Pick<RingSnapshot, 'published'>;
  accountOf: AccountOf;
  grants: Store;
  status: Pick<Revoker, 'isRevoked'>;
  subjectNames: SubjectNames;
  clock: Clock;
}

type ReadPresented = (
  context: TokenEndpointGrantContext,
  presented: Presented,
  policy: Policy,
) => Promise<PresentedToken>;

/** Verifies the tokens presented for an exchange. @throws InvalidRequest with the reason for the log */
export function presentedTokens(dependencies: PresentedTokenDependencies): ReadPresented {
  const verify = verifyOurs(dependencies);

  return async (context, presented, policy) => {
    const refuse = (reason: string): Error => unacceptable(presented.role, reason);
    const read = await readerOf(presented)(verify, context, presented.token, policy).catch((error: unknown) => {
      throw error instanceof joseErrors.JOSEError ? refuse(error.message) : error;
    });
    if (typeof read === 'string') throw refuse(read);
    const { data: claims, error } = claimsSchema.safeParse(read);
    if (claims === undefined) throw refuse(z.prettifyError(error));
    if (claims.exp <= epochSeconds(dependencies.clock)) throw refuse('expired');
    if (!policy.clients.includes(claims.client_id)) throw refuse(`issued to ${claims.client_id}`);
    if (claims.status !== undefined && (await dependencies.status.isRevoked(claims.status.status_list)))
      throw refuse('revoked');
    const client = await context.oidc.provider.Client.find(claims.client_id);
    if (client === undefined) throw refuse('its client no longer exists');
    const sub = isOpaque(presented) ? claims.sub : subjectOf(claims.sub, client, dependencies.subjectNames);
    const holder = await holderOf(context, { ...claims, sub }, presented.type, dependencies);
    if (typeof holder === 'string') throw refuse(holder);
    return { ...claims, sub, ...holder };
  };
}

/** @returns the token's claims, or the reason for a refusal */
type Reader = (
  verify: VerifyOurs,
  context: TokenEndpointGrantContext,
  token: string,
  policy: Policy,
) => Promise<object | string>;

function readerOf(presented: Presented): Reader {
  if (presented.type === 'id_token') return readIdToken;
  return isOpaque(presented) ? readOpaqueAccessToken : readJwtAccessToken;
}

function isOpaque({ type, token }: Presented): boolean {
  return type !== 'id_token' && !token.includes('.');
}

/** Returns the account id for a JWT's subject, which may be pairwise. A machine's subject stays as it is. */
function subjectOf(sub: string, client: Client, subjectNames: SubjectNames): string {
  return sub.startsWith('acc_') ? (subjectNames.accountFor(sub, policyOf(client).sector) ?? sub) : sub;
}

/**
 * Reads a JWT access token. An API may exchange only a token that was issued for it, and no token for another API (RFC
 * 9068 §4).
 */
const readJwtAccessToken: Reader = (verify, _context, token, { audiences }) =>
  verifyAccessToken(verify, token, { audience: [...audiences] });

/** Reads an opaque access token. Opaque tokens are for this server alone. */
const readOpaqueAccessToken: Reader = async (_verify, { oidc }, token) => {
  const found = await oidc.provider.AccessToken.find(token);
  if (found === undefined) return 'not known, or ended';
  const { accountId, clientId, exp, scope, sid, grantId, jkt, 'x5t#S256': x5t, extra } = found;
  return {
    ...extra,
    ...{ sub: accountId, client_id: clientId, exp, scope, sid, grant_id: grantId },
    ...((jkt ?? x5t) !== undefined && { cnf: { jkt, 'x5t#S256': x5t } }),
  };
};

/**
 * Reads an ID token without scopes, because an ID token gives access to nothing. It is for one client (OpenID Connect
 * Core §2).
 */
const readIdToken: Reader = async (verify, _context, token, { clients }) => {
  // Any other JWT that this server signs for clients has a type of its own, or no `sid`.
  const { protectedHeader, payload } = await verify(token, { audience: [...clients], requiredClaims: ['sid'] });
  if (protectedHeader.typ !== undefined) return `is of type ${protectedHeader.typ}`;
  const { aud, sub, exp, acr, amr, auth_time, sid } = payload;
  return { ...{ sub, exp, acr, amr, auth_time, sid }, client_id: aud };
};

/** Returns the subject by which the client that exchanges the token knows the person. */
export function subjectFor({ account, sub }: PresentedToken, client: Client, subjectNames: SubjectNames): string {
  return account === undefined ? sub : subjectNames.subjectFor(account.id, policyOf(client).sector);
}

/** Finds the account and the grant behind a token. @returns the reason if one of them is no longer valid */
async function holderOf(
  context: TokenEndpointGrantContext,
  claims: z.infer<typeof claimsSchema>,
  type: PresentedType,
  { accountOf, grants }: PresentedTokenDependencies,
): Promise<Pick<PresentedToken, 'account' | 'grant_id' | 'grant_client'> | string> {
  const { Client, Grant } = context.oidc.provider;
  const { sub, client_id: clientId, sid = '' } = claims;
  const session = type === 'id_token' ? await sessionNamed(grants, { accountId: sub, clientId, sid }) : undefined;
  if (type === 'id_token' && session === undefined) return 'its session has ended';
  const grantId = session?.grantId ?? claims.grant_id;
  if (grantId === undefined) return (await Client.find(sub)) === undefined ? 'its client no longer exists' : {};
  const grant = await Grant.find(grantId);
  if (grant?.accountId !== sub) return 'its grant has ended';
  const account = await accountOf(context, sub);
  if (account === undefined) return 'its account may not be used';
  return { account, grant_id: grantId, ...omitUndefined({ grant_client: grant.clientId }) };
}
