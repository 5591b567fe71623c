import { isDeepStrictEqual } from 'node:util';
import { Provider, type Adapter, type AdapterPayload, type KoaContextWithOIDC } from 'oidc-provider';
import type { Config } from '../../config/schema.ts';
import { browserFor, browserHash, matchingBrowser } from '../../http/browser-cookies.ts';
import { browserInWords } from '../../http/page-words.ts';
import { clientAddress } from '../../http/request-facts.ts';
import { clientPlace, type PlaceDetail } from '../../http/address-block.ts';
import { Problem } from '../../http/problems.ts';
import type { Clock } from '../../lib/clock.ts';
import { secretToken, type Random } from '../../lib/random.ts';
import type { Store, Stored } from '../../storage/store.ts';
import { update } from '../../storage/update.ts';
import {
  lifetime,
  ofItsAccount,
  sessionCounts,
  sessionKey,
  signInStart,
  type SessionRecord,
} from '../../sessions/session-records.ts';
import { latestNotBefore } from '../../sessions/not-before.ts';
import { startOf, unsupported } from './adapter-verbs.ts';
import type { PendingRequests } from './pending-requests.ts';
import { SessionCookies, type FoundCookie } from './session-cookies.ts';

/** Stands for the missing account of a question that was asked before sign-in. */
const NOBODY = '';

interface SessionAdapterDependencies {
  grants: Store;
  random: Random;
  clock: Clock;
  pending: PendingRequests;
  config: { sessions: Pick<Config['sessions'], 'place'> };
}

/** The session as this request first read it. */
interface Seen {
  cookie: FoundCookie;
  session: Stored<SessionRecord>;
  /** The questions that its browser was asked. */
  state: AdapterPayload['state'];
}

/**
 * Adapter for sessions. A session keeps its uid for life, and its changing cookies lead to it. The engine reads a
 * session at a request's start and writes all of it at the end, so the last of parallel requests would undo the others;
 * here a write makes only its own changes. After sign-out no pending request brings the session back.
 */
export function sessionAdapter({ grants, random, clock, pending, config }: SessionAdapterDependencies): Adapter {
  const cookies = new SessionCookies(grants, random);
  const seenBy = new WeakMap<KoaContextWithOIDC, Seen>();
  const parts = { grants, cookies, pending };

  return {
    ...unsupported,
    async find(id) {
      const cookie = await cookies.find(id);
      if (cookie === undefined) return undefined;
      const { uid, account } = cookie.value;
      const [session, read] = await Promise.all([grants.get(sessionKey(uid)), latestNotBeforeOf(grants, account)]);
      if (session === undefined || !(await sessionCounts(grants, session.value, read))) return undefined;
      const state = shownState(cookie.value.state, Provider.ctx, { account: session.value.accountId, random });
      if (Provider.ctx !== undefined) seenBy.set(Provider.ctx, { cookie, session, state });
      // A copy, since the engine writes into what it is given.
      return { ...structuredClone(session.value), jti: id, uid, state };
    },
    async findByUid(uid) {
      const session = await grants.get(sessionKey(uid));
      if (session === undefined || !(await sessionCounts(grants, session.value))) return undefined;
      return { ...session.value, uid };
    },
    async upsert(id, payload, ttl) {
      const context = Provider.ctx;
      const seen = context && seenBy.get(context);
      const startedAt = signInOf(payload, seen?.session.value, context, clock);
      const facts = startedAt === undefined ? {} : { startedAt, ...useOf(context, clock, config.sessions.place) };
      const state = tiedState(payload, context, random);
      const write = { id, payload: { ...payload, ...facts, state }, options: lifetime(ttl) };
      if (seen === undefined) return begin(parts, write);
      const signsIn = context?.oidc.result?.login !== undefined;
      const goesOn = seen.cookie.id === id ? goOn(parts, write, seen) : rename(parts, write, seen, signsIn);
      // The code is then invalid, but the session's end did not see this token.
      if (!(await goesOn) && context?.oidc.entities.AccessToken !== undefined)
        throw new Problem('interaction-gone', 'the session has ended');
    },
    async destroy(id) {
      const session = Provider.ctx?.oidc.session;
      // The engine also destroys a session that it renames, before writing. `rename` does that later.
      if (session?.jti !== id) return;
      // The session has ended already. It is remembered for a while, for requests under way.
      await cookies.remove(id);
    },
  };
}

interface Parts {
  grants: Store;
  cookies: SessionCookies;
  pending: PendingRequests;
}

interface Write {
  id: string;
  payload: AdapterPayload;
  options: { ttl?: number };
}

async function latestNotBeforeOf(grants: Store, account: string | undefined) {
  return account === undefined ? undefined : { account, notBefore: await latestNotBefore(grants, { account }) };
}

/**
 * Returns the questions only to the browser and the account that they were asked. A form that names nobody, or another
 * person, is refused once another tab has signed somebody in. Older questions name no account.
 */
function shownState(
  state: AdapterPayload['state'],
  context: KoaContextWithOIDC | undefined,
  { account = NOBODY, random }: { account: string | undefined; random: Random },
): AdapterPayload['state'] {
  if (state === undefined || context === undefined) return state;
  if (matchingBrowser(context, String(state['browser'])) === undefined) return undefined;
  // The page shown instead needs a working form.
  return (state['account'] ?? account) === account ? state : { secret: secretToken(random) };
}

function tiedState(
  { state, accountId = NOBODY }: AdapterPayload,
  context: KoaContextWithOIDC | undefined,
  random: Random,
): AdapterPayload['state'] {
  if (state === undefined || context === undefined || state['browser'] !== undefined) return state;
  return { ...state, browser: browserHash(browserFor(context, random)), account: accountId };
}

/** A person's session counts from their latest sign-in. */
function signInOf(
  { accountId }: AdapterPayload,
  before: SessionRecord | undefined,
  context: KoaContextWithOIDC | undefined,
  clock: Clock,
): number | undefined {
  if (accountId === undefined) return undefined;
  return signInStart(context) ?? before?.startedAt ?? startOf(context, clock);
}

/** Records the session's use for its owner. If the request has no value for a fact, the earlier value is removed. */
function useOf(
  context: KoaContextWithOIDC | undefined,
  clock: Clock,
  detail: PlaceDetail,
): { usedAt: number; browser?: string; place: string | undefined } {
  const browser = browserInWords(context?.get('user-agent') ?? '');
  const place = context && clientPlace(clientAddress(context), detail);
  return { usedAt: clock.now(), ...(browser !== undefined && { browser }), place };
}

/** Writes the session first, so that a crash leaves no cookie without a session. */
async function begin({ grants, cookies, pending }: Parts, { id, payload, options }: Write): Promise<void> {
  if (payload.accountId === undefined) await pending.admit('session', payload);
  const { uid, state, session } = split(payload);
  await grants.set(sessionKey(uid), session, { ...options, ...ofItsAccount(session) });
  await cookies.add(id, { uid, account: session.accountId, state }, options);
}

/** @returns false if the session has ended, like `rename` */
async function goOn({ grants, cookies }: Parts, { payload, options }: Write, seen: Seen): Promise<boolean> {
  const { uid, state, session } = split(payload);
  const isAsking = !isDeepStrictEqual(state, seen.state);
  if (!(await writeChanges(grants, uid, session, seen, options))) return false;
  await cookies.keep(seen.cookie, (now) => (isAsking ? { ...now, state } : now), options);
  return true;
}

/**
 * Gives the browser a new cookie. A cookie from before sign-in is invalidated first, because a stranger may have set it
 * (session fixation); of several concurrent sign-ins with it, one succeeds. A crash loses no session: the old cookie
 * stays until the new one exists.
 */
async function rename(parts: Parts, { id, payload, options }: Write, seen: Seen, signsIn: boolean): Promise<boolean> {
  const { grants, cookies } = parts;
  const { uid, state, session } = split(payload);
  const wasAnonymous = seen.session.value.accountId === undefined;
  if (wasAnonymous && !(await cookies.remove(seen.cookie.id))) return false;
  if (!(await writeChanges(grants, uid, session, seen, options))) return false;
  await cookies.add(id, { uid, account: session.accountId, state }, options);
  if (signsIn) await cookies.remove(seen.cookie.id);
  else await cookies.retire(seen.cookie);
  return true;
}

/** @returns false if the session has ended */
async function writeChanges(
  grants: Store,
  uid: string,
  session: SessionRecord,
  seen: Seen,
  options: { ttl?: number },
): Promise<boolean> {
  const change = (now: SessionRecord): SessionRecord | undefined =>
    now.endedAt === undefined ? mergeChanges(seen.session.value, session, now) : undefined;
  const write = { ...options, ...ofItsAccount(session) };
  const now = await update(grants, sessionKey(uid), seen.session, change, write);
  return now !== undefined && now.endedAt === undefined;
}

function split({ jti: _secret, uid = '', state, ...session }: AdapterPayload) {
  return { uid, state, session };
}

/**
 * Merges JSON objects member by member at every depth: applies the changes from `before` to `ours` to `now`, which
 * others have changed meanwhile.
 */
export function mergeChanges<T extends object>(before: T, ours: T, now: T): T {
  const [was, is] = [members(before), members(ours)];
  const merged = new Map(Object.entries(now));
  for (const name of new Set([...Object.keys(was), ...Object.keys(is)])) {
    if (isDeepStrictEqual(was[name], is[name])) continue;
    if (is[name] === undefined) merged.delete(name);
    else if (!isObject(is[name])) merged.set(name, is[name]);
    else merged.set(name, mergeChanges(members(was[name]), is[name], members(merged.get(name))));
  }
  return Object.fromEntries(merged) as T;
}

function members(value: unknown): Record<string, unknown> {
  return isObject(value) ? { ...value } : {};
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
