import { isDeepStrictEqual } from 'node:util';
import { Provider, type Adapter, type AdapterPayload, type KoaContextWithOIDC } from 'oidc-provider';
import type { Random } from '../../lib/random.ts';
import { everyMember } from '../../storage/every-member.ts';
import { keyspace, type Index, type Store, type Stored, type WriteOptions } from '../../storage/store.ts';
import { update } from '../../storage/update.ts';
import { lifetime, unsupported } from './adapter-verbs.ts';
import { mergeChanges } from './merge.ts';
import { SessionCookies, type FoundCookie } from './session-cookies.ts';

/** A session without what belongs to one of its cookies. */
type Session = Pick<AdapterPayload, 'kind' | 'accountId' | 'exp' | 'authorizations'>;

const sessionKey = keyspace<Session>('session');
const sessionsOfAccount = (accountId: string): Index<Session> => `sessions-of-account:${accountId}`;

/** What a request saw when it began. */
interface Seen {
  cookie: FoundCookie;
  session: Stored<Session>;
}

/**
 * A session stays under its uid for all its life, and its cookies, which change, lead to it. The engine reads a session
 * at a request's start and writes the whole of it at the end, so of parallel requests the last would undo the others;
 * here a write makes only the request's own changes. Once signed out, the session is gone and no request that is still
 * under way brings it back.
 */
export function sessionAdapter(grants: Store, random: Random): Adapter {
  const cookies = new SessionCookies(grants, random);
  const seenBy = new WeakMap<KoaContextWithOIDC, Seen>();
  const parts = { grants, cookies };

  return {
    ...unsupported,
    async find(id) {
      const cookie = await cookies.find(id);
      if (cookie === undefined) return undefined;
      const session = await grants.get(sessionKey(cookie.value.uid));
      if (session === undefined) return undefined;
      if (Provider.ctx !== undefined) seenBy.set(Provider.ctx, { cookie, session });
      const { uid, state } = cookie.value;
      // A copy, since the engine writes into what it is given.
      return { ...structuredClone(session.value), jti: id, uid, state };
    },
    async findByUid(uid) {
      const session = await grants.get(sessionKey(uid));
      return session && { ...session.value, uid };
    },
    async upsert(id, payload, ttl) {
      const context = Provider.ctx;
      const seen = context && seenBy.get(context);
      const write = { id, payload, options: lifetime(ttl) };
      if (seen === undefined) await begin(parts, write);
      else if (seen.cookie.id === id) await goOn(parts, write, seen);
      else await rename(parts, write, seen, context?.oidc.result?.login !== undefined);
    },
    async destroy(id) {
      const session = Provider.ctx?.oidc.session;
      // The engine also destroys what it renames, before it writes; that is for `rename` to do, and afterwards.
      if (session?.jti !== id) return;
      // By its uid: while apps were told of the end, another request may have put another cookie in this one's place.
      await grants.delete(sessionKey(session.uid));
      await cookies.remove(id);
    },
  };
}

interface Parts {
  grants: Store;
  cookies: SessionCookies;
}

interface Write {
  id: string;
  payload: AdapterPayload;
  options: { ttl?: number };
}

/** A stranger's session is nobody's. */
function ofItsAccount({ accountId }: Session): WriteOptions {
  return { indexes: accountId === undefined ? [] : [sessionsOfAccount(accountId)] };
}

/**
 * The part of a client in a person's session, by the name that the client has for the session (`sid`).
 * @returns undefined once the session has ended, for the person or for the client
 */
export async function sessionNamed(
  grants: Store,
  { accountId, clientId, sid }: { accountId: string; clientId: string; sid: string },
): Promise<{ grantId?: string | undefined } | undefined> {
  for await (const keys of everyMember(grants, sessionsOfAccount(accountId))) {
    for (const stored of await grants.getMany(keys)) {
      const authorization = stored?.value.authorizations?.[clientId];
      if (authorization?.sid === sid && stored?.value.accountId === accountId) return authorization;
    }
  }
  return undefined;
}

/** The session first, so that a crash leaves no cookie that leads nowhere. */
async function begin({ grants, cookies }: Parts, { id, payload, options }: Write): Promise<void> {
  const { uid, state, session } = split(payload);
  await grants.set(sessionKey(uid), session, { ...options, ...ofItsAccount(session) });
  await cookies.add(id, { uid, state }, options);
}

async function goOn({ grants, cookies }: Parts, { payload, options }: Write, seen: Seen): Promise<void> {
  const { uid, state, session } = split(payload);
  const isAsking = !isDeepStrictEqual(state, seen.cookie.value.state);
  if (!(await writeChanges(grants, uid, session, seen, options))) return;
  await cookies.keep(seen.cookie, (now) => (isAsking ? { ...now, state } : now), options);
}

/**
 * The browser gets a new cookie. One that was set before anybody had signed in is dead first, since a stranger may have
 * put it there to be signed in with it (session fixation); of several that sign in with it at once, one does. A crash on
 * the way loses no session: until the new cookie is there, the old one stays.
 */
async function rename(parts: Parts, { id, payload, options }: Write, seen: Seen, signsIn: boolean): Promise<void> {
  const { grants, cookies } = parts;
  const { uid, state, session } = split(payload);
  const wasAnonymous = seen.session.value.accountId === undefined;
  if (wasAnonymous && !(await cookies.remove(seen.cookie.id))) return;
  if (!(await writeChanges(grants, uid, session, seen, options))) return;
  await cookies.add(id, { uid, state }, options);
  if (signsIn) await cookies.remove(seen.cookie.id);
  else await cookies.retire(seen.cookie);
}

/** @returns false when the session has ended */
function writeChanges(
  grants: Store,
  uid: string,
  session: Session,
  seen: Seen,
  options: { ttl?: number },
): Promise<boolean> {
  const change = (now: Session): Session => mergeChanges(seen.session.value, session, now);
  return update(grants, sessionKey(uid), seen.session, change, { ...options, ...ofItsAccount(session) });
}

function split({ jti: _secret, uid = '', state, ...session }: AdapterPayload) {
  return { uid, state, session };
}
