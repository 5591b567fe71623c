import { mergeConsents, type Consent, type Consents } from '../accounts/consents.ts';
import { ACCOUNT_CLIENT } from '../config/sections/client-schema.ts';
import { tokensOfGrant } from '../status/token-indexes.ts';
import { forEachConcurrently, everyRecord } from '../storage/every-member.ts';
import { idOf, type Store } from '../storage/store.ts';
import { consentOf, grantCounts, grantsOfAccount } from './grant-records.ts';
import { sessionCounts, sessionsOfAccount } from './session-records.ts';

/** An active session: a browser in which somebody is signed in. Times are in milliseconds since the epoch. */
export interface LiveSession {
  uid: string;
  /** The browser's description for people. */
  browser: string | undefined;
  /** The ids of the clients that were used in it. */
  clients: string[];
  /** The grants of those clients. */
  grants: string[];
  signedInAt: number;
  usedAt: number | undefined;
  /** The latest IP address or address block. */
  place: string | undefined;
}

/** The access that an account gives an app. */
interface AppAccess {
  client: string;
  allowed: Consent;
}

/** Lists an account's sessions that have not ended. */
export async function liveSessions(grants: Store, account: string): Promise<LiveSession[]> {
  const live: LiveSession[] = [];
  await forEachConcurrently(everyRecord(grants, sessionsOfAccount(account)), async ({ key, value: session }) => {
    if (session.accountId !== account || !(await sessionCounts(grants, session))) return;
    const { browser, usedAt, place, loginTs = 0, authorizations = {} } = session;
    live.push({
      ...{ browser, usedAt, place, signedInAt: loginTs * 1000 },
      uid: idOf(key),
      clients: Object.keys(authorizations).filter((client) => client !== ACCOUNT_CLIENT),
      grants: Object.values(authorizations).flatMap(({ grantId }) => grantId ?? []),
    });
  });
  return live;
}

/** Lists the apps with a remembered consent, and those with a live grant. */
export async function appsWithAccess(
  { grants, consents }: { grants: Store; consents: Pick<Consents, 'list'> },
  account: string,
): Promise<AppAccess[]> {
  const all = new Map<string, Consent>();
  const add = (client: string, allowed: Consent): void => {
    if (client !== ACCOUNT_CLIENT) all.set(client, mergeConsents(all.get(client), allowed));
  };
  const sessions = liveSessions(grants, account);
  const allowed = async (): Promise<void> => {
    for await (const { client, consent } of consents.list(account)) add(client, consent);
  };
  const held = forEachConcurrently(everyRecord(grants, grantsOfAccount(account)), async ({ key, value: grant }) => {
    if (!(await grantCounts(grants, grant))) return;
    const isInSession = (await sessions).some((session) => session.grants.includes(idOf(key)));
    // A grant's record outlives its tokens, so a grant counts only in an active session or with tokens.
    if (isInSession || (await hasTokens(grants, idOf(key)))) add(grant.clientId ?? '', consentOf(grant));
  });
  await Promise.all([sessions, allowed(), held]);
  return [...all].map(([client, consent]) => ({ client, allowed: consent }));
}

async function hasTokens(grants: Store, grant: string): Promise<boolean> {
  return (await grants.members(tokensOfGrant(grant), { limit: 1 })).keys.length > 0;
}
