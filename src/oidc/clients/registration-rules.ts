import { errors, Provider, type Client, type Grant } from 'oidc-provider';
import { withParameters } from '../../http/response-headers.ts';
import type { Send } from '../internals.ts';
import type { Clients } from '../../clients/clients.ts';
import { policyOf } from './client-metadata.ts';

/**
 * Answers `unauthorized_client` if a token request uses a grant type that the client may not use (RFC 6749 §5.2). The
 * engine answers `invalid_request`.
 */
export function grantTypeAllowed(this: Client, name: string): boolean {
  const isAllowed = this.grantTypes?.includes(name) === true;
  const oidc = Provider.ctx?.oidc;
  if (oidc?.route === 'token' && oidc.params?.['grant_type'] === name && !isAllowed)
    throw new errors.UnauthorizedClient(`the client is not registered for ${name}`);
  return isAllowed;
}

/**
 * Answers `unauthorized_client` for a response type that the client may not use (RFC 6749 §4.1.2.1). The engine answers
 * `invalid_request`.
 */
export function responseTypeAllowed(this: Client, type: string): boolean {
  if (this.responseTypes?.some((own) => own === type)) return true;
  throw new errors.UnauthorizedClient(`the client is not registered for ${type}`);
}

/**
 * Limits a grant to the scopes that its client is registered for now. The engine checks the registration only in the
 * authorization request.
 */
export function withinRegistration(engine: Filtered) {
  return function getOIDCScopeFiltered(this: Grant, filter: string[] | Set<string>): string {
    const client = Provider.ctx?.oidc.client;
    if (client === undefined || client.clientId !== this.clientId) return engine.call(this, filter);
    const { scopes } = policyOf(client);
    return engine.call(this, new Set([...filter].filter((name) => scopes.includes(name))));
  };
}

type Filtered = (this: Grant, filter: string[] | Set<string>) => string;

/**
 * Keeps the query of a redirect URI as it was registered (RFC 6749 §3.1.2). The engine would re-encode it, and let
 * response parameters overwrite it.
 */
export function keepRegisteredQuery(mode: 'query' | 'query.jwt' | 'jwt') {
  return (engine: Send): Send =>
    async (context, uri, answer) => {
      await engine(context, uri, answer);
      const sent = URL.parse(context.response.get('Location'));
      if (sent?.hash !== '' || !uri.includes('?')) return;
      const names = mode === 'query' ? Object.keys(answer) : ['response'];
      const added = Object.fromEntries(names.map((name) => [name, sent.searchParams.get(name) ?? undefined]));
      context.set('Location', withParameters(uri, added));
    };
}

/** Hides disabled clients from every lookup, on every node at once. */
export function leaveOutDisabled(
  engine: Provider['Client']['find'],
  { clients, provider }: { clients: Pick<Clients, 'isDisabled'>; provider: Provider },
): Provider['Client']['find'] {
  return async (id) => {
    const [isDisabled, client] = await Promise.all([clients.isDisabled(id), engine.call(provider.Client, id)]);
    return isDisabled ? undefined : client;
  };
}
