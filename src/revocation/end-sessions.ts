import { keepLogout } from '../oidc/logout/back-channel-logout.ts';
import { grantKey } from '../oidc/storage/grant-records.ts';
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
import { everyRecord } from '../storage/every-member.ts';
import type { Key, Store, Stored } from '../storage/store.ts';
import { update } from '../storage/update.ts';
import { endGrant } from './end-grants.ts';
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
  const ended = await endSessionRecord(grants, key, clock.now());
  if (ended === undefined) return [];
  const { accountId: account, authorizations = {} } = ended.value;
  for (const { grantId, persistsLogout } of Object.values(authorizations))
    if (grantId !== undefined && !(keepsOffline && persistsLogout)) await endGrant(parts, grantId);
  if (ended.value.isTold === true || account === undefined) return [];
  const told: Told = [];
  for (const [client, authorization] of Object.entries(authorizations))
    told.push(...(await tellApp(parts, { account, client }, authorization)));
  await change(parts, key, ended, (now) => ({ ...now, isTold: true }));
  return told;
}

/** Those of an account that began before an instant. */
export async function endSessionsOf(parts: WalkParts, account: string, before: number): Promise<Told> {
  const told: Told = [];
  for await (const { key, value } of everyRecord(parts.grants, sessionsOfAccount(account)))
    if (startOfSession(value) < before) told.push(...(await endSession(parts, key, { keepsOffline: false })));
  return told;
}

/** What is left out counts as begun now. What its apps hold ends all the same: they get it anew without a question. */
export async function keepSession(parts: WalkParts, uid: string, from: number): Promise<void> {
  const key = sessionKey(uid);
  const stored = await parts.grants.get(key);
  if (stored === undefined) return;
  await change(parts, key, stored, (now) => ({ ...now, startedAt: Math.max(startOfSession(now), from) }));
}

/** The person's sessions go on without an app whose grant has ended, and which is told. */
export async function forgetApp(
  parts: WalkParts,
  { account, client }: { account: string; client: string },
): Promise<Told> {
  const { grants } = parts;
  const told: Told = [];
  for await (const session of everyRecord(grants, sessionsOfAccount(account))) {
    const authorization = session.value.authorizations?.[client];
    if (authorization === undefined || session.value.endedAt !== undefined) continue;
    if (await hasGrant(grants, authorization)) continue;
    told.push(...(await tellApp(parts, { account, client }, authorization)));
    await change(parts, session.key, session, (now) => {
      const { [client]: _app, ...authorizations } = now.authorizations ?? {};
      return { ...now, authorizations };
    });
  }
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
async function hasGrant(grants: Store, { grantId }: Authorization): Promise<boolean> {
  const grant = grantId === undefined ? undefined : await grants.get(grantKey(grantId));
  return grant !== undefined && grant.value.endedAt === undefined;
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
