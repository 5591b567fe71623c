import { createPublicKey } from 'node:crypto';
import { errors, type Client, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider';
import type { ResourceConfig } from '../../config/schema.ts';
import { policyOf, rulesOf, type ClientPolicy } from '../clients/client-metadata.ts';
import type { AccountOf } from './request-account.ts';
import type { Transmitter } from './transmitter.ts';

/**
 * Hooks for resource indicators (RFC 8707). A token gets a scope if the resource has it, the client is registered for
 * it and, if a person is involved, one of their roles allows it.
 */
export function resourceIndicators(options: {
  resources: readonly ResourceConfig[];
  accountOf: AccountOf;
  accessTokenTtl: number;
  transmitter: Transmitter | undefined;
}) {
  const { transmitter } = options;
  const resources = new Map(options.resources.map((resource) => [resource.identifier, resource]));
  return {
    enabled: true,
    defaultResource: (context: KoaContextWithOIDC, client: Client, oneOf?: readonly string[]) => {
      if (oneOf !== undefined) return unlessEmpty(oneOf);
      if (transmitter?.isMeant(context, client) === true) return [transmitter.identifier];
      return unlessEmpty(defaultResource(context, client, resources));
    },
    // Without `resource` in the token request, the token is for the granted resource (RFC 8707 §2.2).
    useGrantedResource: () => true,
    async getResourceServerInfo(
      context: KoaContextWithOIDC,
      identifier: string,
      client: Client,
    ): Promise<ResourceServer> {
      if (identifier === transmitter?.identifier) return transmitter.describe(context, client);
      const resource = resources.get(identifier);
      const policy = policyOf(client);
      if (resource === undefined || !policy.resources.includes(identifier)) throw new errors.InvalidTarget();
      const roles = await rolesOf(context, options.accountOf, policy);
      const scopes = Object.entries(resource.scopes)
        .filter(([name, scope]) => policy.scopes.includes(name) && mayReceive(roles, scope.roles))
        .map(([name]) => name);
      return {
        audience: identifier,
        scope: scopes.join(' '),
        accessTokenFormat: 'jwt',
        accessTokenTTL: resource.access_token_ttl ?? options.accessTokenTtl,
        jwt: { sign: { alg: resource.signing_alg }, ...encryption(resource) },
      };
    },
  };
}

/**
 * Replaces an empty list by `undefined`. The engine would take the list for several resources, and refuse to issue a
 * token for /userinfo through the browser.
 */
function unlessEmpty(identifiers: readonly string[]): string[] {
  // The engine's types allow only a list here.
  return (identifiers.length === 0 ? undefined : [...identifiers]) as string[];
}

/**
 * Returns the resource for a request that names none. It is the client's default resource if the request has one of its
 * scopes, has authorization details or is for client credentials. Otherwise, it is the client's only resource with the
 * requested scopes.
 */
function defaultResource(
  context: KoaContextWithOIDC,
  client: Client,
  resources: ReadonlyMap<string, ResourceConfig>,
): string[] {
  const { defaultResource: identifier } = policyOf(client);
  const resource = identifier === undefined ? undefined : resources.get(identifier);
  const { grant_type: grantType, authorization_details: details } = context.oidc.params ?? {};
  const isEnough = grantType === 'client_credentials' || details !== undefined;
  const asked = [...context.oidc.requestParamScopes];
  if (resource !== undefined && (isEnough || asked.some((scope) => Object.hasOwn(resource.scopes, scope))))
    return [resource.identifier];
  if (rulesOf(client).resource) throw new errors.InvalidTarget('the profile of the client asks for a resource');
  return resourceOfScopes(asked, client, resources);
}

/**
 * Returns the client's only resource with all the requested API scopes; an empty list if no API scope is requested.
 * @throws errors.InvalidTarget if no resource or several resources have them all
 */
function resourceOfScopes(
  asked: readonly string[],
  client: Client,
  resources: ReadonlyMap<string, ResourceConfig>,
): string[] {
  const own = policyOf(client).resources.flatMap((identifier) => resources.get(identifier) ?? []);
  const wanted = asked.filter((scope) => own.some(({ scopes }) => Object.hasOwn(scopes, scope)));
  if (wanted.length === 0) return [];
  const [only, ...others] = own.filter(({ scopes }) => wanted.every((scope) => Object.hasOwn(scopes, scope)));
  if (only === undefined || others.length > 0)
    throw new errors.InvalidTarget(`several APIs have the scopes ${wanted.join(' ')}: name one of them by resource`);
  return [only.identifier];
}

/**
 * Returns the roles of the request's person. `undefined` means that roles limit nothing: before anybody has signed in,
 * and for a machine client that the operator registered. A self-registered machine client has no role.
 */
async function rolesOf(
  context: KoaContextWithOIDC,
  accountOf: AccountOf,
  { isSelfDescribed }: Pick<ClientPolicy, 'isSelfDescribed'>,
): Promise<readonly string[] | undefined> {
  const { account, session, route } = context.oidc;
  const id = account?.accountId ?? session?.accountId;
  if (id !== undefined) return (await accountOf(context, id))?.roles ?? [];
  return isSelfDescribed && route === 'token' ? [] : undefined;
}

function mayReceive(roles: readonly string[] | undefined, allowed: readonly string[] | undefined): boolean {
  return roles === undefined || allowed === undefined || allowed.some((role) => roles.includes(role));
}

/**
 * Encrypts an API's tokens if the operator has configured a key for that, so that only the API can read them (RFC
 * 7516).
 */
function encryption({
  access_token_encryption: chosen,
}: ResourceConfig): Pick<NonNullable<ResourceServer['jwt']>, 'encrypt'> | undefined {
  if (chosen === undefined) return undefined;
  const { alg, enc, jwk } = chosen;
  const kid = typeof jwk['kid'] === 'string' ? { kid: jwk['kid'] } : {};
  return { encrypt: { alg, enc, key: createPublicKey({ key: jwk, format: 'jwk' }), ...kid } };
}
