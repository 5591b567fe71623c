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

/** Placeholder for the account of a question that was asked before anybody signed in. */
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
  /** State of the questions that the browser was asked. */
  state: AdapterPayload['state'];
}

/**
 * Adapter for sessions. A session keeps its uid for life, while the cookies that lead to it change. The engine reads a
 * session when a request starts and writes all of it at the end, so the last of several parallel requests would undo
 * the others' changes. Here each write makes only its own changes. After a sign-out, no pending request brings the
 * session back.
 */
export function sessionAdapter({ grants, random, clock, pending, config }: SessionAdapterDependencies): Adapter {
  const cookies = new SessionCookies(grants, random);
  const seenBy = new WeakMap<KoaContextWithOIDC, Seen>();
  const dependencies = { grants, cookies, pending };

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
      // The result is a copy, because the engine modifies it.
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
      if (seen === undefined) return begin(dependencies, write);
      const signsIn = context?.oidc.result?.login !== undefined;
      const goesOn =
        seen.cookie.id === id ? continueSession(dependencies, write, seen) : rename(dependencies, write, seen, signsIn);
      // If the session has ended, a code is invalid. An access token is not, because the session's revocation could not
      // find it, so it must not be sent.
      if (!(await goesOn) && context?.oidc.entities.AccessToken !== undefined)
        throw new Problem('interaction-gone', 'the session has ended');
    },
    async destroy(id) {
      const session = Provider.ctx?.oidc.session;
      // The engine also destroys the old id of a session that it renames, before it writes the new one. `rename`
      // removes that cookie later.
      if (session?.jti !== id) return;
      // `endSession` has already ended the session. Its record stays for a while, so that concurrent requests notice.
      await cookies.remove(id);
    },
  };
}

interface SessionStores {
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
 * Returns the state of pending questions only to the browser and the account that were asked. If another tab has signed
 * somebody in meanwhile, the server refuses a form that was shown to nobody or to another person. Questions from
 * earlier versions name no account.
 */
function shownState(
  state: AdapterPayload['state'],
  context: KoaContextWithOIDC | undefined,
  { account = NOBODY, random }: { account: string | undefined; random: Random },
): AdapterPayload['state'] {
  if (state === undefined || context === undefined) return state;
  if (matchingBrowser(context, String(state['browser'])) === undefined) return undefined;
  // The page that is shown instead needs a working form, so it gets a new secret.
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

/** Returns the time of the person's latest sign-in; undefined if nobody is signed in. */
function signInOf(
  { accountId }: AdapterPayload,
  before: SessionRecord | undefined,
  context: KoaContextWithOIDC | undefined,
  clock: Clock,
): number | undefined {
  if (accountId === undefined) return undefined;
  return signInStart(context) ?? before?.startedAt ?? startOf(context, clock);
}

/**
 * Returns the facts of the session's latest use, for its owner. If the request lacks a fact, the write removes the
 * earlier value.
 */
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
async function begin({ grants, cookies, pending }: SessionStores, { id, payload, options }: Write): Promise<void> {
  if (payload.accountId === undefined) await pending.admit('session', payload);
  const { uid, state, session } = split(payload);
  await grants.set(sessionKey(uid), session, { ...options, ...ofItsAccount(session) });
  await cookies.add(id, { uid, account: session.accountId, state }, options);
}

/** Writes the changes of a session that keeps its cookie. @returns false if the session has ended */
async function continueSession(
  { grants, cookies }: SessionStores,
  { payload, options }: Write,
  seen: Seen,
): Promise<boolean> {
  const { uid, state, session } = split(payload);
  const isAsking = !isDeepStrictEqual(state, seen.state);
  if (!(await writeChanges(grants, uid, session, seen, options))) return false;
  await cookies.keep(seen.cookie, (now) => (isAsking ? { ...now, state } : now), options);
  return true;
}

/**
 * Gives the browser a new cookie. The server first removes a cookie from before sign-in, because a stranger may have
 * set it (session fixation); of several concurrent sign-ins with it, one succeeds. A crash loses no signed-in session,
 * because its old cookie stays until the new one exists. @returns false if the session has ended, or if another sign-in
 * with the cookie was faster
 */
async function rename(
  dependencies: SessionStores,
  { id, payload, options }: Write,
  seen: Seen,
  signsIn: boolean,
): Promise<boolean> {
  const { grants, cookies } = dependencies;
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
 * Applies the changes from `before` to `ours` to `now`, which other requests may have changed meanwhile. It merges JSON
 * objects member by member at every depth.
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
