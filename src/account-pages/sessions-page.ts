import type { Context } from 'koa';
import type { Clients } from '../clients/clients.ts';
import { field } from '../http/form.ts';
import { route, type Route } from '../http/route.ts';
import type { Views } from '../http/view.ts';
import type { Clock } from '../lib/clock.ts';
import { forEachAtOnce } from '../storage/at-once.ts';
import { ownForm, ownPage, type Doors } from './own-page.ts';
import { goTo, showPage } from './show-page.ts';
import type { SignedIn } from './signed-in.ts';

/** A browser in which an account is signed in. Times are in milliseconds since the epoch. */
export interface OwnSession {
  uid: string;
  /** Which browser it is, in words. */
  browser?: string | undefined;
  /** The ids of those that were used in it. */
  clients: readonly string[];
  signedInAt: number;
  usedAt?: number | undefined;
}

export interface SessionsPageParts extends Doors {
  views: Views;
  clients: Clients;
  clock: Clock;
  /** Those of an account that have not ended. */
  sessionsOf: (account: string) => Promise<OwnSession[]>;
  /** Ends one, whoever's it is. */
  endSession: (session: string) => Promise<void>;
}

const PATH = '/sessions';

/** Where a person sees in which browsers they are signed in, and ends that. */
export function sessionsRoutes(parts: SessionsPageParts): Route[] {
  return [
    ownPage(parts, PATH, (context, person) => show(parts, context, person)),
    route('POST', PATH, ownForm(parts, PATH), async (context, { account, session, form }) => {
      const asked = field(form, 'session');
      // Looked up among the account's own: a form may name anybody's.
      const others = (await parts.sessionsOf(account.id)).filter(({ uid }) => uid !== session.uid);
      const ending = asked === 'others' ? others : others.filter(({ uid }) => uid === asked);
      await forEachAtOnce(ending, ({ uid }) => parts.endSession(uid));
      goTo(context, PATH);
    }),
  ];
}

async function show(parts: SessionsPageParts, context: Context, { account, session, purpose }: SignedIn) {
  const all = (await parts.sessionsOf(account.id)).toSorted((a, b) => rank(b, session.uid) - rank(a, session.uid));
  const now = parts.clock.now();
  const sessions = all.map(async ({ uid, browser, clients, signedInAt, usedAt }) => ({
    ...(uid !== session.uid && { value: uid }),
    ...(browser !== undefined && { browser }),
    ...(usedAt !== undefined && { usedAgo: (now - usedAt) / 1000 }),
    signedInAgo: (now - signedInAt) / 1000,
    apps: await Promise.all(clients.map(async (id) => (await parts.clients.find(id))?.client_name ?? id)),
  }));
  const csrf = parts.csrf.token(context, purpose);
  showPage(context, parts.views.render('sessions', { action: PATH, csrf, sessions: await Promise.all(sessions) }));
}

/** This browser first, then the latest. */
function rank({ uid, usedAt, signedInAt }: OwnSession, here: string): number {
  return uid === here ? Infinity : (usedAt ?? signedInAt);
}
