import { errors, Provider, type Client, type Grant } from 'oidc-provider';
import { policyOf } from './client-metadata.ts';

/**
 * RFC 6749 §5.2 defines `unauthorized_client` for a grant type that the client may not use; the engine answers
 * `invalid_request`.
 */
export function grantTypeAllowed(this: Client, name: string): boolean {
  const isAllowed = this.grantTypes?.includes(name) === true;
  const oidc = Provider.ctx?.oidc;
  if (oidc?.route === 'token' && oidc.params?.['grant_type'] === name && !isAllowed)
    throw new errors.UnauthorizedClient(`the client is not registered for ${name}`);
  return isAllowed;
}

/**
 * RFC 6749 §4.1.2.1 distinguishes a response type that this client may not use from an unsupported one; the engine
 * answers `invalid_request`.
 */
export function responseTypeAllowed(this: Client, type: string): boolean {
  if (this.responseTypes?.some((own) => own === type)) return true;
  throw new errors.UnauthorizedClient(`the client is not registered for ${type}`);
}

/** Limits granted access to the client's present registration; the engine checks it only in the first request. */
export function withinRegistration(engine: Filtered) {
  return function getOIDCScopeFiltered(this: Grant, filter: string[] | Set<string>): string {
    const client = Provider.ctx?.oidc.client;
    if (client === undefined || client.clientId !== this.clientId) return engine.call(this, filter);
    const { scopes } = policyOf(client);
    return engine.call(this, new Set([...filter].filter((name) => scopes.includes(name))));
  };
}

type Filtered = (this: Grant, filter: string[] | Set<string>) => string;
