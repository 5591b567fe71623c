import { errors, type Client, type KoaContextWithOIDC, type UnknownObject } from 'oidc-provider';
import type { Config, ResourceConfig } from '../../config/schema.ts';
import { scopeName } from '../../config/values.ts';
import { STANDARD_SCOPES } from '../../config/sections/claims-schema.ts';
import { policyOf } from '../clients/client-metadata.ts';
import type { EngineStep, GrantHandler } from '../internals.ts';
import type { Consent } from '../../accounts/consents.ts';
import { STREAM_SCOPES } from './transmitter.ts';

interface ScopeDependencies {
  config: Pick<Config, 'resources'>;
}

function scopesOfApis({ config }: ScopeDependencies): Set<string> {
  return new Set(config.resources.flatMap(({ scopes }) => Object.keys(scopes)));
}

/**
 * Checks requested scopes less strictly than the engine, because existing apps need that. It drops a standard scope
 * that the client may not have (RFC 6749 §3.3), and allows `offline_access` without `prompt=consent` (OpenID Connect
 * Core §11, "other conditions").
 */
export function checkScope(engine: EngineStep, dependencies: ScopeDependencies): EngineStep {
  const apiScopes = scopesOfApis(dependencies);
  return async (context, next) => {
    const { client, params } = context.oidc;
    if (client === undefined || params === undefined) return engine(context, next);
    if (params['scope'] === undefined) completeMissingScope(params, client, dependencies.config.resources);
    if (typeof params['scope'] !== 'string') return engine(context, next);
    const asked = params['scope'].split(' ');
    // The engine's error for a malformed scope does not repeat the scope.
    if (!asked.every((scope) => scopeName.safeParse(scope).success)) return engine(context, next);
    // The engine later refuses a resource that the client may not use, with an error of its own.
    if (namesOwnResources(params['resource'], client))
      params['scope'] = allowedScopes(asked, client, apiScopes).join(' ');
    return engine(context, async () => {
      if (asked.includes('offline_access') && mayStayConnected(context, client)) addScope(context, 'offline_access');
      await next();
    });
  };
}

/**
 * Gives a machine client that requests no scope its registered API scopes (RFC 6749 §3.3), and refuses API scopes that
 * the client may not have.
 */
export function clientCredentialsScope(engine: GrantHandler, dependencies: ScopeDependencies): GrantHandler {
  const apiScopes = scopesOfApis(dependencies);
  return (context) => {
    const { client, params } = context.oidc;
    if (client !== undefined && params !== undefined && params['scope'] === undefined) {
      const own = policyOf(client).scopes.filter((scope) => apiScopes.has(scope));
      if (own.length > 0) params['scope'] = own.join(' ');
    } else if (client !== undefined && typeof params?.['scope'] === 'string') {
      const asked = params['scope'].split(' ');
      refuseForeignScopes(asked, client, apiScopes);
      refuseUnknownScopes(asked, client);
    }
    return engine(context);
  };
}

function namesOwnResources(resource: unknown, client: Client): boolean {
  const own: readonly unknown[] = policyOf(client).resources;
  return resource === undefined || [resource].flat().every((name) => own.includes(name));
}

/**
 * Drops standard scopes that the client may not have. @throws errors.InvalidScope if the client may not have an API's
 * scope or `openid`, or if no scope is left
 */
function allowedScopes(asked: readonly string[], client: Client, apiScopes: ReadonlySet<string>): string[] {
  refuseForeignScopes(asked, client, apiScopes);
  refuseUnknownScopes(asked, client);
  const { scopes: own } = policyOf(client);
  const allowed = asked.filter((scope) => !STANDARD_SCOPES.includes(scope) || own.includes(scope));
  // Without `openid`, the app would get another response than it expects.
  const [missing] =
    asked.includes('openid') && !own.includes('openid') ? ['openid'] : allowed.length === 0 ? asked : [];
  if (missing !== undefined) throw notRegistered(missing);
  return allowed;
}

/**
 * Completes a request without a scope with all of the client's scopes for the API that it names (RFC 6749 §3.3). A
 * request without an API fails at once, so that nobody signs in for nothing. Authorization details need no scope (RFC
 * 9396 §3). @throws errors.InvalidScope
 */
function completeMissingScope(
  params: Record<string, unknown>,
  client: Client,
  resources: readonly ResourceConfig[],
): void {
  if (params['authorization_details'] !== undefined) return;
  const named = [params['resource']].flat();
  const { scopes: own } = policyOf(client);
  const scopes = resources
    .filter(({ identifier }) => named.includes(identifier))
    .flatMap((resource) => Object.keys(resource.scopes))
    .filter((scope) => own.includes(scope));
  if (scopes.length > 0) params['scope'] = [...new Set(scopes)].join(' ');
  else if (params['resource'] === undefined)
    throw Object.assign(new errors.InvalidScope('the request must name a scope', ''), { scope: undefined });
}

function refuseForeignScopes(asked: readonly string[], client: Client, apiScopes: ReadonlySet<string>): void {
  const { scopes: own } = policyOf(client);
  const foreign = asked.find((scope) => apiScopes.has(scope) && !own.includes(scope));
  if (foreign !== undefined) throw notRegistered(foreign);
}

/**
 * Refuses a request if none of its scopes is possible. Its token would have no scopes, and so could not state that it
 * has fewer than requested (RFC 6749 §3.3). A person would sign in for nothing.
 */
function refuseUnknownScopes(asked: readonly string[], client: Client): void {
  const possible = [...STANDARD_SCOPES, ...STREAM_SCOPES, ...policyOf(client).scopes];
  const [unknown] = asked;
  if (unknown !== undefined && !asked.some((scope) => possible.includes(scope))) throw notRegistered(unknown);
}

function notRegistered(scope: string): Error {
  return new errors.InvalidScope(`the client is not registered for the scope ${scope}`, scope);
}

/**
 * Tells whether the request could lead to a refresh token, by all of the engine's rules except the one about `prompt`.
 */
function mayStayConnected({ oidc }: KoaContextWithOIDC, client: Client): boolean {
  const { response_type: type } = oidc.params ?? {};
  const hasCode = typeof type !== 'string' || type.split(' ').includes('code');
  return hasCode && client.grantTypeAllowed('refresh_token') && policyOf(client).scopes.includes('offline_access');
}

/**
 * Removes from a refresh request the standard scopes that the sign-in did not grant, because libraries repeat every
 * scope that they once requested. API scopes stay, and the engine refuses those that were not granted (RFC 6749 §6).
 */
export function leaveOutUngranted({ oidc: { params } }: KoaContextWithOIDC, granted: readonly string[]): void {
  if (params === undefined || typeof params['scope'] !== 'string') return;
  const asked = params['scope'].split(' ');
  const left = asked.filter((scope) => !STANDARD_SCOPES.includes(scope) || granted.includes(scope));
  if (left.length > 0) params['scope'] = left.join(' ');
}

function addScope({ oidc: { params } }: KoaContextWithOIDC, scope: string): void {
  if (params === undefined) return;
  const scopes = new Set(typeof params['scope'] === 'string' ? params['scope'].split(' ') : []);
  params['scope'] = [...scopes.add(scope)].join(' ');
}

/**
 * Returns the access that a CIBA request asks for. The person is not known yet, and their roles may narrow the access
 * later.
 */
export function requestedAccess(
  { scope, resource }: UnknownObject,
  client: Client,
  resources: readonly ResourceConfig[],
): Consent {
  const policy = policyOf(client);
  const requested = typeof scope === 'string' ? scope.split(' ').filter((name) => policy.scopes.includes(name)) : [];
  const targets = resource === undefined ? [policy.defaultResource] : [resource].flat();
  const asked = resources
    .filter(({ identifier }) => targets.includes(identifier) && policy.resources.includes(identifier))
    .map(({ identifier, scopes }) => [identifier, requested.filter((name) => Object.hasOwn(scopes, name))]);
  return {
    scopes: requested.filter((name) => STANDARD_SCOPES.includes(name)),
    resources: Object.fromEntries(asked) as Consent['resources'],
  };
}
