import { storeLogout } from '../oidc/logout/back-channel-logout.ts';
import {
  grantKey,
  startOfGrant,
  endGrantRecord,
  grantsOfAccount,
  type GrantRecord,
} from '../sessions/grant-records.ts';
import {
  endSessionRecord,
  ofItsAccount,
  sessionKey,
  sessionsOfAccount,
  startOfSession,
  type Authorization,
  type SessionRecord,
  remainingLife,
} from '../sessions/session-records.ts';
import { forEachConcurrently, everyRecord } from '../storage/every-member.ts';
import { idOf, type Key, type Store, type Stored } from '../storage/store.ts';
import { update } from '../storage/update.ts';
import type { QueuedLogouts, RevocationDependencies } from './dependencies.ts';

type GrantEndingDependencies = Pick<RevocationDependencies, 'grants' | 'tokens' | 'clock'>;

/** Ends grants and everything issued under them. A later pass finds the tokens that were being issued meanwhile. */
export async function endGrants(dependencies: GrantEndingDependencies, ids: readonly string[]): Promise<void> {
  const { grants, tokens } = dependencies;
  if (ids.length === 0) return;
  const keys = ids.map(grantKey);
  const end = async (): Promise<void> => endRecords(dependencies, keys, await grants.getMany(keys));
  await Promise.all([end(), tokens.endOfGrants(ids)]);
}

/**
 * Ends an account's grants that began before an instant, for one client or for all. Later grants stay.
 * @returns the ids of the ended grants
 */
export async function endGrantsOf(
  dependencies: GrantEndingDependencies,
  account: string,
  { client, before }: { client?: string; before: number },
): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const page of pagesOf(dependencies, account)) {
    const chosen = page.filter(
      ({ value }) => (client === undefined || value.clientId === client) && startOfGrant(value) < before,
    );
    const keys = chosen.map(({ key }) => key);
    await Promise.all([endRecords(dependencies, keys, chosen), dependencies.tokens.endOfGrants(keys.map(idOf))]);
    for (const key of keys) ids.add(idOf(key));
  }
  return ids;
}

/** Revokes access tokens that were requested before an instant under an account's grants. The grants stay. */
export async function endAccessOf(
  dependencies: GrantEndingDependencies,
  account: string,
  before: number,
): Promise<void> {
  for await (const page of pagesOf(dependencies, account))
    await dependencies.tokens.endAccessOfGrants(
      page.map(({ key }) => idOf(key)),
      before,
    );
}

type Found = Stored<GrantRecord> & { key: Key<GrantRecord> };

/** Reads an account's grants in pages of a hundred. */
async function* pagesOf({ grants }: GrantEndingDependencies, account: string): AsyncGenerator<Found[]> {
  let page: Found[] = [];
  for await (const found of everyRecord(grants, grantsOfAccount(account))) {
    page.push(found);
    if (page.length === 100) {
      yield page;
      page = [];
    }
  }
  if (page.length > 0) yield page;
}

async function endRecords(
  { grants, clock }: GrantEndingDependencies,
  keys: readonly Key<GrantRecord>[],
  found: readonly (Stored<GrantRecord> | undefined)[],
): Promise<void> {
  await forEachConcurrently(keys.entries(), async ([at, key]) => {
    const stored = found[at];
    if (stored !== undefined) await endGrantRecord(grants, stored, key, clock.now());
  });
}

/**
 * Ends a session and the grants of its apps, and notifies each app. The session ends first, so that no app can join it
 * after its apps were read.
 * @param keepsOffline true to keep the grants that outlive a logout
 */
export async function endSession(
  dependencies: RevocationDependencies,
  key: Key<SessionRecord>,
  { keepsOffline }: { keepsOffline: boolean },
): Promise<QueuedLogouts> {
  const { grants, clock } = dependencies;
  const stored = await grants.get(key);
  const ended = stored && (await endSessionRecord(grants, key, stored, clock.now()));
  if (stored === undefined || ended === undefined) return [];
  const ending = Object.values(ended.authorizations ?? {}).flatMap(({ grantId, persistsLogout }) =>
    grantId === undefined || (keepsOffline && persistsLogout) ? [] : [grantId],
  );
  const [, queued] = await Promise.all([endGrants(dependencies, ending), queueLogouts(dependencies, key, ended)]);
  return queued;
}

/** Ends an account's sessions that began before an instant, except one. @returns also the ids of their apps' grants */
export async function endSessionsOf(
  dependencies: RevocationDependencies,
  account: string,
  { before, except }: { before: number; except: string | undefined },
): Promise<{ queued: QueuedLogouts; appGrants: string[] }> {
  const queued: QueuedLogouts = [];
  const appGrants: string[] = [];
  await forEachConcurrently(
    everyRecord(dependencies.grants, sessionsOfAccount(account)),
    async ({ key, ...stored }) => {
      if (startOfSession(stored.value) >= before || idOf(key) === except) return;
      const ended = await endSessionRecord(dependencies.grants, key, stored, dependencies.clock.now());
      if (ended === undefined) return;
      for (const { grantId } of Object.values(ended.authorizations ?? {}))
        if (grantId !== undefined) appGrants.push(grantId);
      queued.push(...(await queueLogouts(dependencies, key, ended)));
    },
  );
  return { queued, appGrants };
}

/** Queues one logout token for each app of an ended session. */
async function queueLogouts(
  dependencies: RevocationDependencies,
  key: Key<SessionRecord>,
  ended: SessionRecord,
): Promise<QueuedLogouts> {
  const { accountId: account, authorizations = {}, isTold = false } = ended;
  if (isTold || account === undefined) return [];
  const each = await Promise.all(
    Object.entries(authorizations).map(([client, one]) => queueLogout(dependencies, { account, client }, one)),
  );
  const stored = await dependencies.grants.get(key);
  if (stored !== undefined) await change(dependencies, key, stored, (now) => ({ ...now, isTold: true }));
  return each.flat();
}

/**
 * Moves the start of a kept session to the not-before instant, so that the session stays valid. The tokens of its apps
 * still end, and the apps get new ones without asking the person.
 */
export async function keepSession(dependencies: RevocationDependencies, uid: string, from: number): Promise<void> {
  const key = sessionKey(uid);
  const stored = await dependencies.grants.get(key);
  if (stored === undefined) return;
  await change(dependencies, key, stored, (now) => ({ ...now, startedAt: Math.max(startOfSession(now), from) }));
}

/** Removes an app from a person's sessions and notifies it, unless the person has allowed it again since an instant. */
export async function forgetApp(
  dependencies: RevocationDependencies,
  { account, client, before }: { account: string; client: string; before: number },
): Promise<QueuedLogouts> {
  const { grants } = dependencies;
  const queued: QueuedLogouts = [];
  await forEachConcurrently(everyRecord(grants, sessionsOfAccount(account)), async (session) => {
    const authorization = session.value.authorizations?.[client];
    if (authorization === undefined || session.value.endedAt !== undefined) return;
    if (await wasAllowedSince(grants, authorization, before)) return;
    queued.push(...(await queueLogout(dependencies, { account, client }, authorization)));
    await change(dependencies, session.key, session, (now) => {
      const { [client]: _app, ...authorizations } = now.authorizations ?? {};
      return { ...now, authorizations };
    });
  });
  return queued;
}

/** Rewrites the session without changing its expiry. */
async function change(
  { grants, clock }: Pick<RevocationDependencies, 'grants' | 'clock'>,
  key: Key<SessionRecord>,
  session: Stored<SessionRecord>,
  edit: (now: SessionRecord) => SessionRecord,
): Promise<void> {
  await update(grants, key, session, edit, { ...remainingLife(session, clock), ...ofItsAccount(session.value) });
}

/** Tells whether the person has allowed the app again since an instant. */
async function wasAllowedSince(grants: Store, { grantId }: Authorization, instant: number): Promise<boolean> {
  const grant = grantId === undefined ? undefined : await grants.get(grantKey(grantId));
  return grant !== undefined && grant.value.endedAt === undefined && startOfGrant(grant.value) >= instant;
}

/**
 * Queues a logout token for an app, unless its stored registration has no logout URI. For an app whose metadata is
 * fetched, the delivery decides.
 */
async function queueLogout(
  { grants, clients, clock }: RevocationDependencies,
  of: { account: string; client: string },
  { sid }: Authorization,
): Promise<QueuedLogouts> {
  if (sid === undefined) return [];
  const client = await clients.find(of.client);
  if (client !== undefined && client.backchannel_logout_uri === undefined) return [];
  return [await storeLogout(grants, clock, { ...of, sid })];
}
