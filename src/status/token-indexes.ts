import { sha256 } from '../lib/hash.ts';
import { everyMember } from '../storage/every-member.ts';
import type { Index, Key, Store } from '../storage/store.ts';

/** Codes, access tokens and unused refresh tokens of a grant. */
export const tokensOfGrant = (grantId: string): Index<unknown> => `tokens-of-grant:${grantId}`;
/** Access tokens that an account has without a grant, such as those for an assertion of a trusted issuer. */
export const tokensOfAccount = (accountId: string): Index<unknown> => `tokens-of-account:${accountId}`;
/** Access tokens of a client, and the tokens that other clients got in exchange for them. */
export const tokensOfClient = (clientId: string): Index<unknown> => `tokens-of-client:${clientId}`;
/** Access tokens that were issued for assertions of a trusted issuer. */
export const tokensOfTrustedIssuer = (issuer: string): Index<unknown> => `tokens-of-trusted-issuer:${sha256(issuer)}`;
const CLIENTS: Index<unknown> = 'clients-with-tokens';

/** The owners of an access token. */
interface Owners {
  clientId: string;
  accountId?: string | undefined;
  grantId?: string | undefined;
  /** The trusted issuer whose assertion it was issued for. */
  issuer?: string | undefined;
  /**
   * The clients whose tokens were exchanged for this one. Revoking the tokens of such a client revokes this one too.
   */
  formerClients?: readonly string[] | undefined;
}

/** An access token that is about to be issued. */
export interface NewToken extends Owners {
  /** Expiry in seconds since the epoch. */
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

/** Records for `ttl` seconds that a client has tokens. */
export async function enterClient(grants: Store, clientId: string, ttl: number): Promise<void> {
  await grants.enlist(CLIENTS, clientId, ttl);
}

/** Yields every client that has live access tokens. A client may occur twice. */
export function clientsWithTokens(grants: Store): AsyncGenerator<string[]> {
  return everyMember(grants, CLIENTS);
}

/** A JWT access token as its indexes name it, because it has no record of its own. */
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

/** Tells whether a member of an index is the key of an opaque access token's record. */
export function isAccessToken(member: string): boolean {
  return member.startsWith('access-token:');
}

/** Parses a member of an index. @returns `undefined` for the key of a record */
export function parseIssued(member: string): Issued | undefined {
  const [, list, idx, startedAt] = ISSUED.exec(member) ?? [];
  if (list === undefined || idx === undefined || startedAt === undefined) return undefined;
  return { list, idx: Number(idx), startedAt: Number.parseInt(startedAt, 36) };
}
