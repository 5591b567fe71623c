import { keepLogout } from '../oidc/logout/back-channel-logout.ts';
import { grantKey, startOfGrant } from '../oidc/storage/grant-records.ts';
import {
  endSessionRecord,
  ofItsAccount,
  sessionKey,
  sessionsOfAccount,
  startOfSession,
  type Authorization,
  type SessionRecord,
} from '../oidc/storage/session-records.ts';
import { remainingLife } from '../oidc/storage/adapter-verbs.ts';
import { forEachAtOnce } from '../storage/at-once.ts';
import { everyRecord } from '../storage/every-member.ts';
import { idOf, type Key, type Store, type Stored } from '../storage/store.ts';
import { update } from '../storage/update.ts';
import { endGrants } from './end-grants.ts';
import type { Told, WalkParts } from './parts.ts';

/**
 * Ends a session and what its apps may do, and has each of them told. It ends first, so that no app is added to it after
 * they have been looked up.
 */
export async function endSession(
  parts: WalkParts,
  key: Key<SessionRecord>,
  { keepsOffline }: { keepsOffline: boolean },
): Promise<Told> {
  const { grants, clock } = parts;
  const stored = await grants.get(key);
  const ended = stored && (await endSessionRecord(grants, key, stored, clock.now()));
  if (stored === undefined || ended === undefined) return [];
  const ending = Object.values(ended.authorizations ?? {}).flatMap(({ grantId, persistsLogout }) =>
    grantId === undefined || (keepsOffline && persistsLogout) ? [] : [grantId],
  );
  const [, told] = await Promise.all([endGrants(parts, ending), tellApps(parts, key, ended)]);
  return told;
}

/** Those of an account that began before an instant, but for one. @returns also the grants of their apps */
export async function endSessionsOf(
  parts: WalkParts,
  account: string,
  { before, except }: { before: number; except: string | undefined },
): Promise<{ told: Told; ofApps: string[] }> {
  const told: Told = [];
  const ofApps: string[] = [];
  await forEachAtOnce(everyRecord(parts.grants, sessionsOfAccount(account)), async ({ key, ...stored }) => {
    if (startOfSession(stored.value) >= before || idOf(key) === except) return;
    const ended = await endSessionRecord(parts.grants, key, stored, parts.clock.now());
    if (ended === undefined) return;
    for (const { grantId } of Object.values(ended.authorizations ?? {}))
      if (grantId !== undefined) ofApps.push(grantId);
    told.push(...(await tellApps(parts, key, ended)));
  });
  return { told, ofApps };
}

/** Has each app of a session that has ended told of it, once. */
async function tellApps(parts: WalkParts, key: Key<SessionRecord>, ended: SessionRecord): Promise<Told> {
  const { accountId: account, authorizations = {}, isTold = false } = ended;
  if (isTold || account === undefined) return [];
  const each = await Promise.all(
    Object.entries(authorizations).map(([client, one]) => tellApp(parts, { account, client }, one)),
  );
  const stored = await parts.grants.get(key);
  if (stored !== undefined) await change(parts, key, stored, (now) => ({ ...now, isTold: true }));
  return each.flat();
}

/**
 * Moves the start of the kept session to now, so that the instant does not cover it. Its apps' tokens end all the same,
 * and the apps get new ones without asking.
 */
export async function keepSession(parts: WalkParts, uid: string, from: number): Promise<void> {
  const key = sessionKey(uid);
  const stored = await parts.grants.get(key);
  if (stored === undefined) return;
  await change(parts, key, stored, (now) => ({ ...now, startedAt: Math.max(startOfSession(now), from) }));
}

/** The person's sessions go on without an app whose grant began before an instant, and which is told. */
export async function forgetApp(
  parts: WalkParts,
  { account, client, before }: { account: string; client: string; before: number },
): Promise<Told> {
  const { grants } = parts;
  const told: Told = [];
  await forEachAtOnce(everyRecord(grants, sessionsOfAccount(account)), async (session) => {
    const authorization = session.value.authorizations?.[client];
    if (authorization === undefined || session.value.endedAt !== undefined) return;
    if (await wasAllowedSince(grants, authorization, before)) return;
    told.push(...(await tellApp(parts, { account, client }, authorization)));
    await change(parts, session.key, session, (now) => {
      const { [client]: _app, ...authorizations } = now.authorizations ?? {};
      return { ...now, authorizations };
    });
  });
  return told;
}

/** Leaves its end where it is. */
async function change(
  { grants, clock }: Pick<WalkParts, 'grants' | 'clock'>,
  key: Key<SessionRecord>,
  session: Stored<SessionRecord>,
  edit: (now: SessionRecord) => SessionRecord,
): Promise<void> {
  await update(grants, key, session, edit, { ...remainingLife(session, clock), ...ofItsAccount(session.value) });
}

/** The person has allowed it anew. */
async function wasAllowedSince(grants: Store, { grantId }: Authorization, instant: number): Promise<boolean> {
  const grant = grantId === undefined ? undefined : await grants.get(grantKey(grantId));
  return grant !== undefined && grant.value.endedAt === undefined && startOfGrant(grant.value) >= instant;
}

/** Apps whose metadata is fetched are asked later whether they listen. */
async function tellApp(
  { grants, clients, clock }: WalkParts,
  of: { account: string; client: string },
  { sid }: Authorization,
): Promise<Told> {
  if (sid === undefined) return [];
  const client = await clients.find(of.client);
  if (client !== undefined && client.backchannel_logout_uri === undefined) return [];
  return [await keepLogout(grants, clock, { ...of, sid })];
}
