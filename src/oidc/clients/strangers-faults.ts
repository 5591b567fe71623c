import { Provider, type Client } from 'oidc-provider';
import { policyOf } from './client-metadata.ts';

/**
 * Anybody may register an app whose address is a trap, and lead people there with a link to this server that asks for
 * something wrong (RFC 9700 §4.11.2). Where nobody here has looked at the app, its faults are shown on a page. It is told
 * what the person decides, and what it asks silently, as OpenID Connect Core §3.1.2.6 has it.
 */
export function keepFaultsOfStrangers(provider: Provider): void {
  provider.on('authorization.error', ({ oidc: { client, params, route } }, error) => {
    const isSilent = params?.['prompt'] === 'none';
    if (route !== 'authorization' || client === undefined || isSilent) return;
    // The engine asks for this after it has told us.
    if (policyOf(client).isSelfDescribed) error.allow_redirect = false;
  });
}

/**
 * Nor by a sign-out: where nobody is signed in, the engine asks nobody and goes on at once. The person then stays on our
 * own page, whatever such an app is registered with.
 */
export function keepSignOutsOfStrangers({ Client }: Provider): void {
  const isRegistered = Reflect.get<Client, 'postLogoutRedirectUriAllowed'>(
    Client.prototype,
    'postLogoutRedirectUriAllowed',
  );
  Client.prototype.postLogoutRedirectUriAllowed = function postLogoutRedirectUriAllowed(uri: string) {
    const { session, params } = Provider.ctx?.oidc ?? {};
    const isAllowed = isRegistered.call(this, uri);
    if (isAllowed && policyOf(this).isSelfDescribed && session?.accountId === undefined)
      Object.assign(params ?? {}, { post_logout_redirect_uri: undefined });
    return isAllowed;
  };
}
