import type { AdapterPayload, KoaContextWithOIDC } from 'oidc-provider';
import { everyRecord } from '../storage/every-member.ts';
import { keyspace, type Index, type Key, type Store, type Stored, type WriteOptions } from '../storage/store.ts';
import { update } from '../storage/update.ts';
import type { Clock } from '../lib/clock.ts';
import { latestNotBefore } from './not-before.ts';

/** A session without the parts that belong to one of its cookies. */
export type SessionRecord = Pick<AdapterPayload, 'kind' | 'accountId' | 'exp' | 'loginTs' | 'authorizations'> & {
  /** Start of the request in which the person signed in, in milliseconds since the epoch. */
  startedAt?: number;
  endedAt?: number;
  /** The browser's description, and the time of the latest use by an app. The session's owner sees both. */
  browser?: string;
  usedAt?: number;
  /** The IP address of that use, as precise as the operator allows; absent in records of earlier versions. */
  place?: string;
  /** True once a logout token is queued for each app of the ended session. */
  isTold?: true;
};

export type Authorization = NonNullable<SessionRecord['authorizations']>[string];

export const sessionKey: (uid: string) => Key<SessionRecord> = keyspace<SessionRecord>('session');
export const sessionsOfAccount = (account: string): Index<SessionRecord> => `sessions-of-account:${account}`;

/** Returns write options that index a session by its account. A session without a sign-in has no account. */
export function ofItsAccount({ accountId }: SessionRecord): WriteOptions {
  return { indexes: accountId === undefined ? [] : [sessionsOfAccount(accountId)] };
}

/** Returns the start of the sign-in that this request completes. */
export function signInStart(context: KoaContextWithOIDC | undefined): number | undefined {
  const startedAt = context?.oidc.result?.login?.['startedAt'];
  return typeof startedAt === 'number' ? startedAt : undefined;
}

/**
 * Returns the start of a session. A record of an earlier version has no `startedAt`, only the engine's whole seconds.
 */
export function startOfSession({ startedAt, loginTs = 0 }: SessionRecord): number {
  return startedAt ?? loginTs * 1000;
}

/**
 * Tells whether a session is active: it has not ended, and no not-before instant covers it. A session without an account
 * is active until somebody signs in.
 * @param read the latest not-before instant of an account, if the caller has read it already
 */
export async function sessionCounts(
  grants: Store,
  session: SessionRecord,
  read?: { account: string; notBefore: number },
): Promise<boolean> {
  const { accountId: account, endedAt } = session;
  if (endedAt !== undefined) return false;
  if (account === undefined) return true;
  const notBefore = read?.account === account ? read.notBefore : await latestNotBefore(grants, { account });
  return startOfSession(session) >= notBefore;
}

/**
 * Finds a client's authorization in a session by the client's `sid`.
 * @returns undefined once the session has ended, or the client was removed from it
 */
export async function sessionNamed(
  grants: Store,
  { accountId, clientId, sid }: { accountId: string; clientId: string; sid: string },
): Promise<Authorization | undefined> {
  for await (const { value: session } of everyRecord(grants, sessionsOfAccount(accountId))) {
    const authorization = session.authorizations?.[clientId];
    if (authorization?.sid !== sid || session.accountId !== accountId) continue;
    if (await sessionCounts(grants, session)) return authorization;
  }
  return undefined;
}

/** The id (`sid`) that each app of a session has for it. */
type SessionNames = { client: string; sid: string }[];

/** Reads the ids that apps have for a session. It also finds those of an ended session while its record exists. */
export async function sessionNames(grants: Store, uid: string): Promise<SessionNames> {
  return namesIn((await grants.get(sessionKey(uid)))?.value);
}

/** Lists the ids that apps have for those sessions of an account that ended at or after `since`. */
export async function endedSessionNames(grants: Store, account: string, since: number): Promise<SessionNames> {
  const names: SessionNames = [];
  for await (const { value } of everyRecord(grants, sessionsOfAccount(account)))
    if ((value.endedAt ?? 0) >= since) names.push(...namesIn(value));
  return names;
}

function namesIn({ authorizations = {} }: Pick<SessionRecord, 'authorizations'> = {}): SessionNames {
  return Object.entries(authorizations).flatMap(([client, { sid }]) => (sid === undefined ? [] : [{ client, sid }]));
}

/**
 * Marks a session as ended, on all nodes at once. Nothing is added to it afterwards.
 * @returns the ended session; undefined if there is none
 */
export async function endSessionRecord(
  grants: Store,
  key: Key<SessionRecord>,
  stored: Stored<SessionRecord>,
  at: number,
): Promise<SessionRecord | undefined> {
  const end = (now: SessionRecord): SessionRecord | undefined =>
    now.endedAt === undefined ? { ...now, endedAt: at } : undefined;
  return update(grants, key, stored, end, { ttl: REMEMBERED, ...ofItsAccount(stored.value) });
}

/** Seconds for which an ended record is kept, so that later passes find everything that was being issued under it. */
export const REMEMBERED = 3600;

/** Converts a lifetime of the engine to write options. The engine passes none for a record that never expires. */
export function lifetime(ttl: number | undefined): { ttl?: number } {
  return ttl === undefined ? {} : { ttl: Math.max(1, ttl) };
}

/** Returns write options that keep a record's expiry. */
export function remainingLife({ expiresAt }: Stored<unknown>, clock: Clock): { ttl?: number } {
  return lifetime(expiresAt === undefined ? undefined : (expiresAt - clock.now()) / 1000);
}
