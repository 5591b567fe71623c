import { sha256 } from '../lib/hash.ts';
import { everyMember } from '../storage/every-member.ts';
import type { Index, Key, Store } from '../storage/store.ts';

/** Codes, access tokens and unused refresh tokens of a grant. */
export const tokensOfGrant = (grantId: string): Index<unknown> => `tokens-of-grant:${grantId}`;
/** Access tokens of an account without a grant, such as those for an assertion of a trusted issuer. */
export const tokensOfAccount = (accountId: string): Index<unknown> => `tokens-of-account:${accountId}`;
/** Every access token of a client, and the tokens that others got in exchange for them. */
export const tokensOfClient = (clientId: string): Index<unknown> => `tokens-of-client:${clientId}`;
/** Access tokens for assertions of a trusted issuer. */
export const tokensOfTrustedIssuer = (issuer: string): Index<unknown> => `tokens-of-trusted-issuer:${sha256(issuer)}`;
const CLIENTS: Index<unknown> = 'clients-with-tokens';

/** The owners of an access token. */
interface Owners {
  clientId: string;
  accountId?: string | undefined;
  grantId?: string | undefined;
  /** The trusted issuer whose assertion it was issued for. */
  issuer?: string | undefined;
  /** The clients of the tokens that it was exchanged for; revoking their tokens revokes it too. */
  formerClients?: readonly string[] | undefined;
}

/** An access token that is about to be issued. */
export interface NewToken extends Owners {
  /** In seconds since the epoch. */
  expiresAt: number;
  /** Start of the request that it is issued for, in milliseconds since the epoch. */
  startedAt: number;
}

/** Lists the indexes by which a revocation finds an access token. */
export function indexesOf({ clientId, accountId, grantId, issuer, formerClients = [] }: Owners): Index<unknown>[] {
  const hasGrant = grantId !== undefined && grantId !== '';
  return [
    ...Array.from(new Set([clientId, ...formerClients]), tokensOfClient),
    ...(hasGrant ? [tokensOfGrant(grantId)] : accountId === undefined ? [] : [tokensOfAccount(accountId)]),
    ...(issuer === undefined ? [] : [tokensOfTrustedIssuer(issuer)]),
  ];
}

/** Enters a client among those that have tokens, for `ttl` seconds. */
export async function enterClient(grants: Store, clientId: string, ttl: number): Promise<void> {
  await grants.enlist(CLIENTS, clientId, ttl);
}

/** Every client that has live access tokens, some of them perhaps twice. */
export function clientsWithTokens(grants: Store): AsyncGenerator<string[]> {
  return everyMember(grants, CLIENTS);
}

/** A JWT access token as its indexes name it: it has no record. */
export interface Issued {
  list: string;
  idx: number;
  /** Start of the request that it was issued for, in milliseconds since the epoch. */
  startedAt: number;
}

const ISSUED = /^issued:([\w-]+)\.(\d{1,7})\.([0-9a-z]{1,10})$/;

export function issuedName({ list, idx, startedAt }: Issued): Key<unknown> {
  return `issued:${list}.${idx}.${startedAt.toString(36)}`;
}

/** Tells whether a member is the record of an opaque access token. */
export function isAccessToken(member: string): boolean {
  return member.startsWith('access-token:');
}

/** @returns `undefined` for a member that is the name of a record */
export function parseIssued(member: string): Issued | undefined {
  const [, list, idx, startedAt] = ISSUED.exec(member) ?? [];
  if (list === undefined || idx === undefined || startedAt === undefined) return undefined;
  return { list, idx: Number(idx), startedAt: Number.parseInt(startedAt, 36) };
}
