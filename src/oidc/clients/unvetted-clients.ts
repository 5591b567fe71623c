import { Provider, type Client, type errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { Consents } from '../../accounts/consents.ts';
import { policyOf } from './client-metadata.ts';

/**
 * Authorization errors of unvetted apps. Anybody may register an app with a malicious redirect URI, and lead people
 * there by a link to this server that is faulty, silent, or declined by the person (RFC 9700 §4.11.2). An app that no
 * operator has checked gets an error only through a person who has allowed it something before. Everybody else sees a
 * page.
 */
const held = new WeakSet<Error>();

/** Keeps every authorization error from an unvetted app, whatever the route, the fault and the response mode. */
export function holdError({ oidc: { client } }: KoaContextWithOIDC, error: errors.OIDCProviderError): void {
  // The engine reads `allow_redirect` after it has called this hook.
  if (client === undefined || !policyOf(client).isSelfDescribed || !error.allow_redirect) return;
  error.allow_redirect = false;
  held.add(error);
}

/** Tells whether the engine would have sent this error to the app. */
export function isHeld(error: Error): boolean {
  return held.has(error);
}

/**
 * Tells whether the server may redirect people to this client: an operator has registered it, or this person has
 * allowed it something.
 */
export async function maySendTo(client: Client, { oidc }: KoaContextWithOIDC, consents: Consents): Promise<boolean> {
  if (!policyOf(client).isSelfDescribed) return true;
  const account = oidc.session?.accountId;
  return account !== undefined && (await consents.find(account, client.clientId)) !== undefined;
}

/**
 * If nobody is signed in, the engine asks no question about a sign-out and redirects at once. For an unvetted app the
 * person then stays on this server's page.
 */
export function postLogoutRedirectAllowed(engine: (uri: string) => boolean) {
  return function postLogoutRedirectUriAllowed(this: Client, uri: string): boolean {
    const { session, params } = Provider.ctx?.oidc ?? {};
    const isAllowed = engine.call(this, uri);
    if (isAllowed && policyOf(this).isSelfDescribed && session?.accountId === undefined)
      Object.assign(params ?? {}, { post_logout_redirect_uri: undefined });
    return isAllowed;
  };
}
