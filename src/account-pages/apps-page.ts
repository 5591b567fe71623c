import type { Context } from 'koa';
import { type Consent, scopesInWords } from '../accounts/consents.ts';
import type { Clients } from '../clients/clients.ts';
import type { ResourceConfig } from '../config/schema.ts';
import { field } from '../http/request-body.ts';
import type { PageData } from '../http/pages.ts';
import { route, type Route } from '../http/route.ts';
import { type Views, showPage } from '../http/view.ts';
import { ownForm, ownPage, sentForm, type PageDependencies, type SignedIn } from './own-page.ts';

/** An app that may use an account, and the access that it has. */
interface OwnApp {
  client: string;
  allowed: Consent;
}

interface AppsPageDependencies extends PageDependencies {
  views: Views;
  clients: Clients;
  resources: readonly ResourceConfig[];
  appsOf: (account: string) => Promise<OwnApp[]>;
  /** Withdraws the person's consent to the app, and revokes everything issued under it. */
  removeAccess: (account: string, client: string) => Promise<unknown>;
}

const PATH = '/apps';

/**
 * Routes of the page that lists the apps with access to an account. The page asks for confirmation before it removes
 * access, and reports the removal afterwards.
 */
export function appsRoutes(dependencies: AppsPageDependencies): Route[] {
  return [
    ownPage(dependencies, PATH, async (context, person) => {
      await showList(dependencies, context, person, { apps: await dependencies.appsOf(person.account.id) });
    }),
    route('POST', PATH, ownForm(dependencies, PATH), async (context, { form, ...person }) => {
      const asked = field(form, 'app');
      const apps = await dependencies.appsOf(person.account.id);
      const app = apps.find(({ client }) => client === asked);
      if (form.get('confirm') !== 'yes') {
        if (app === undefined) await showList(dependencies, context, person, { apps, removed: '' });
        else await ask(dependencies, context, person, app);
        return;
      }
      await dependencies.forms.once(context, sentForm(context, form), async () => {
        const removed = app === undefined ? '' : (await inWords(dependencies, app)).name;
        if (app !== undefined) await dependencies.removeAccess(person.account.id, app.client);
        await showList(dependencies, context, person, { apps: apps.filter((other) => other !== app), removed });
      });
    }),
  ];
}

/** @param list the apps, and the name of the app whose access this request has just removed */
async function showList(
  dependencies: AppsPageDependencies,
  context: Context,
  person: SignedIn,
  { apps, removed }: { apps: readonly OwnApp[]; removed?: string },
): Promise<void> {
  const shown = await Promise.all(apps.map((app) => inWords(dependencies, app)));
  const html = dependencies.views.render('apps', {
    action: PATH,
    csrf: dependencies.csrf.token(context, person.purpose),
    apps: shown.toSorted((a, b) => a.name.localeCompare(b.name, 'en')),
    ...(removed !== undefined && { removed }),
  });
  showPage(context, html);
}

async function ask(
  dependencies: AppsPageDependencies,
  context: Context,
  { purpose }: SignedIn,
  app: OwnApp,
): Promise<void> {
  const csrf = dependencies.csrf.token(context, purpose);
  const html = dependencies.views.render('remove-access', {
    action: PATH,
    csrf,
    app: await inWords(dependencies, app),
  });
  showPage(context, html);
}

async function inWords(
  { clients, resources }: AppsPageDependencies,
  { client: id, allowed }: OwnApp,
): Promise<PageData['remove-access']['app']> {
  const client = await clients.find(id);
  return {
    value: id,
    name: client?.client_name ?? id,
    ...(client?.logo_uri !== undefined && {
      logo: { uri: client.logo_uri, isOfOperator: client.registration === undefined },
    }),
    scopes: scopesInWords(allowed, resources),
    offline: allowed.scopes.includes('offline_access'),
  };
}
