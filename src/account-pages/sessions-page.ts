import type { Context } from 'koa';
import type { Clients } from '../clients/clients.ts';
import { clientPlace, type PlaceDetail } from '../http/address-block.ts';
import { field } from '../http/request-body.ts';
import type { PageData } from '../http/pages.ts';
import { route, type Route } from '../http/route.ts';
import { type Views, showPage } from '../http/view.ts';
import type { Clock } from '../lib/clock.ts';
import { forEachConcurrently } from '../storage/every-member.ts';
import { ownForm, ownPage, sentForm, type PageDependencies, type SignedIn } from './own-page.ts';

/** A session of an account in a browser. Times are in milliseconds since the epoch. */
interface OwnSession {
  uid: string;
  /** The browser's description for people. */
  browser?: string | undefined;
  /** The ids of the clients that were used in the session. */
  clients: readonly string[];
  signedInAt: number;
  usedAt?: number | undefined;
  /** An IP address or an address block, as the session's record holds it. */
  place?: string | undefined;
}

interface SessionsPageDependencies extends PageDependencies {
  views: Views;
  clients: Clients;
  clock: Clock;
  /** The precision with which the page shows an IP address. */
  placeDetail: PlaceDetail;
  /** Lists the account's sessions that have not ended. */
  sessionsOf: (account: string) => Promise<OwnSession[]>;
  /** Ends a session without checking its account. */
  endSession: (session: string) => Promise<void>;
}

const PATH = '/sessions';

/**
 * Routes of the page that lists the browsers in which a person is signed in. The page asks for confirmation before it
 * ends a session, and reports the end afterwards.
 */
export function sessionsRoutes(dependencies: SessionsPageDependencies): Route[] {
  return [
    ownPage(dependencies, PATH, async (context, person) => {
      await showList(dependencies, context, person, { sessions: await sorted(dependencies, person) });
    }),
    route('POST', PATH, ownForm(dependencies, PATH), async (context, { form, ...person }) => {
      const asked = field(form, 'session');
      // Searches the account's own sessions only, because a form may name anybody's.
      const sessions = await sorted(dependencies, person);
      const others = sessions.filter(({ uid }) => uid !== person.session.uid);
      const ending = asked === 'others' ? others : others.filter(({ uid }) => uid === asked);
      if (form.get('confirm') !== 'yes') {
        if (ending.length === 0) await showList(dependencies, context, person, { sessions, ended: [] });
        else await ask(dependencies, context, person, { value: asked, ending });
        return;
      }
      await dependencies.forms.once(context, sentForm(context, form), async () => {
        await forEachConcurrently(ending, ({ uid }) => dependencies.endSession(uid));
        const left = sessions.filter((session) => !ending.includes(session));
        await showList(dependencies, context, person, { sessions: left, ended: ending.map(nameOf) });
      });
    }),
  ];
}

/** @param list the sessions, and the names of the browsers that the request has signed out */
async function showList(
  dependencies: SessionsPageDependencies,
  context: Context,
  person: SignedIn,
  { sessions, ended }: { sessions: readonly OwnSession[]; ended?: string[] },
): Promise<void> {
  const shown = sessions.map(async (own) => ({
    ...(await inWords(dependencies, own)),
    ...(own.uid !== person.session.uid && { value: own.uid }),
  }));
  const html = dependencies.views.render('sessions', {
    action: PATH,
    csrf: dependencies.csrf.token(context, person.purpose),
    sessions: await Promise.all(shown),
    ...(ended !== undefined && { ended }),
  });
  showPage(context, html);
}

async function ask(
  dependencies: SessionsPageDependencies,
  context: Context,
  { purpose }: SignedIn,
  { value, ending }: { value: string; ending: readonly OwnSession[] },
): Promise<void> {
  const sessions = await Promise.all(ending.map((own) => inWords(dependencies, own)));
  const csrf = dependencies.csrf.token(context, purpose);
  showPage(context, dependencies.views.render('end-session', { action: PATH, csrf, value, sessions }));
}

/** Lists the account's sessions: the one of this browser first, then the others, the latest first. */
async function sorted(dependencies: SessionsPageDependencies, { account, session }: SignedIn): Promise<OwnSession[]> {
  const rank = ({ uid, usedAt, signedInAt }: OwnSession): number =>
    uid === session.uid ? Infinity : (usedAt ?? signedInAt);
  return (await dependencies.sessionsOf(account.id)).toSorted((a, b) => rank(b) - rank(a));
}

async function inWords(
  { clients, clock, placeDetail }: SessionsPageDependencies,
  own: OwnSession,
): Promise<PageData['end-session']['sessions'][number]> {
  const { usedAt, signedInAt } = own;
  const now = clock.now();
  // The operator may have chosen a coarser precision since the session began.
  const place = own.place === undefined ? undefined : clientPlace(own.place, placeDetail);
  const moment = (at: number) => ({ at, ago: (now - at) / 1000 });
  return {
    browser: nameOf(own),
    signedIn: moment(signedInAt),
    ...(usedAt !== undefined && { used: moment(usedAt) }),
    ...(place !== undefined && { place }),
    apps: await Promise.all(own.clients.map(async (id) => (await clients.find(id))?.client_name ?? id)),
  };
}

function nameOf({ browser = 'A browser' }: OwnSession): string {
  return browser;
}
