import type { Middleware } from 'koa';
import { errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider';
import { showPage, type Views } from '../../http/view.ts';
import { formTarget } from '../../http/response-headers.ts';
import { policyOf } from '../clients/client-metadata.ts';

/** Seconds that the apps have to load before the page redirects. */
const WAIT = 3;

/** The clients of an ended session, each with its own id (`sid`) for the session. */
type Ended = readonly { clientId: string; sid: string | undefined }[];

/** Clients of the session that each current request ends. */
const ended = new WeakMap<object, Ended>();

/** Records the clients of an ending session, for the page that notifies them. */
export function noteEnded(context: KoaContextWithOIDC): void {
  const { session, params } = context.oidc;
  if (params?.['logout'] === undefined) return;
  const clientIds = Object.keys(session?.authorizations ?? {});
  ended.set(
    context,
    clientIds.map((clientId) => ({ clientId, sid: session?.sidFor(clientId) })),
  );
}

/**
 * OpenID Connect Front-Channel Logout 1.0: before a logout redirects, a page loads each app's logout address in a
 * frame. Back-channel logout is more reliable, because browsers may withhold an app's cookies from its frame.
 */
export function frontChannelLogout(provider: Provider, views: Views): Middleware {
  return async (context, next) => {
    await next();
    const clients = ended.get(context);
    const location = context.response.get('Location');
    if (clients === undefined || context.status !== 303 || location === '') return;
    const frames = await addresses(provider, clients);
    if (frames.length === 0) return;
    context.response.remove('Location');
    context.set('Refresh', `${WAIT};url=${location}`);
    const html = views.render('signing-out', { frames, next: location });
    showPage(context, html, { status: 200, frames: frames.map(formTarget) });
  };
}

async function addresses(provider: Provider, clients: Ended): Promise<string[]> {
  const all = await Promise.all(clients.map((client) => address(provider, client)));
  return all.filter((one) => one !== undefined);
}

async function address(provider: Provider, { clientId, sid }: Ended[number]): Promise<string | undefined> {
  const client = await provider.Client.find(clientId).catch(unlessInvalid);
  const frontChannel = client && policyOf(client).frontChannelLogout;
  if (frontChannel === undefined) return undefined;
  const url = new URL(frontChannel.uri);
  if (frontChannel.sessionRequired) {
    url.searchParams.set('iss', provider.issuer);
    url.searchParams.set('sid', sid ?? '');
  }
  return url.href;
}

/** Skips an unusable client, so that the others are still notified. */
function unlessInvalid(error: unknown): undefined {
  if (!(error instanceof errors.OIDCProviderError)) throw error;
  return undefined;
}
