import type { Context } from 'koa';
import type { Consent } from '../accounts/consents.ts';
import { scopesInWords } from '../accounts/scopes-in-words.ts';
import type { Clients } from '../clients/clients.ts';
import type { ResourceConfig } from '../config/schema.ts';
import { field } from '../http/form.ts';
import { route, type Route } from '../http/route.ts';
import type { Views } from '../http/view.ts';
import { ownForm, ownPage, type Doors } from './own-page.ts';
import { goTo, showPage } from './show-page.ts';
import type { SignedIn } from './signed-in.ts';

/** An app that may use an account, and for what. */
export interface OwnApp {
  client: string;
  allowed: Consent;
}

export interface AppsPageParts extends Doors {
  views: Views;
  clients: Clients;
  resources: readonly ResourceConfig[];
  appsOf: (account: string) => Promise<OwnApp[]>;
  /** Withdraws what the person let the app do, and all that it got by that. */
  removeAccess: (account: string, client: string) => Promise<unknown>;
}

const PATH = '/apps';

/** Where a person sees which apps may use their account, and takes that back. */
export function appsRoutes(parts: AppsPageParts): Route[] {
  return [
    ownPage(parts, PATH, (context, person) => show(parts, context, person)),
    route('POST', PATH, ownForm(parts, PATH), async (context, { account, form }) => {
      const asked = field(form, 'app');
      const isOne = (await parts.appsOf(account.id)).some(({ client }) => client === asked);
      if (isOne) await parts.removeAccess(account.id, asked);
      goTo(context, PATH);
    }),
  ];
}

async function show(parts: AppsPageParts, context: Context, { account, purpose }: SignedIn): Promise<void> {
  const apps = (await parts.appsOf(account.id)).map(async ({ client: id, allowed }) => {
    const client = await parts.clients.find(id);
    return {
      value: id,
      name: client?.client_name ?? id,
      ...(client?.logo_uri !== undefined && {
        logo: { uri: client.logo_uri, isOfOperator: client.registration === undefined },
      }),
      scopes: scopesInWords(allowed, parts.resources),
      offline: allowed.scopes.includes('offline_access'),
    };
  });
  const sorted = (await Promise.all(apps)).toSorted((a, b) => a.name.localeCompare(b.name, 'en'));
  const csrf = parts.csrf.token(context, purpose);
  showPage(context, parts.views.render('apps', { action: PATH, csrf, apps: sorted }));
}
