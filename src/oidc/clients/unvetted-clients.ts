import { Provider, type Client, type errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { Consents } from '../../accounts/consents.ts';
import { policyOf } from './client-metadata.ts';

/**
 * Authorization errors that are held back from unvetted apps. Anybody may register an app with a malicious redirect
 * URI. A link to this server would then lead people there if the request is faulty or uses `prompt=none`, or if the
 * person declines (RFC 9700 §4.11.2). So an app that no operator has checked gets an error only if the person has
 * allowed it something before. Everybody else sees a page.
 */
const held = new WeakSet<Error>();

/**
 * Stops the redirect of an authorization error to an unvetted app, whatever the route, the error and the response mode.
 */
export function holdError({ oidc: { client } }: KoaContextWithOIDC, error: errors.OIDCProviderError): void {
  // The engine reads `allow_redirect` after it has called this hook.
  if (client === undefined || !policyOf(client).isSelfDescribed || !error.allow_redirect) return;
  error.allow_redirect = false;
  held.add(error);
}

/** Tells whether an error was held back from an unvetted app. */
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
 * Keeps a person who is not signed in on a page of this server if an unvetted app asks for a sign-out. The engine would
 * redirect them to the app at once, without a question.
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
