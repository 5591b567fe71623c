import { createPublicKey } from 'node:crypto';
import { errors, type Client, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider';
import type { ResourceConfig } from '../../config/schema.ts';
import { policyOf, rulesOf, type ClientPolicy } from '../clients/client-metadata.ts';
import type { AccountOf } from './request-account.ts';
import type { Transmitter } from './transmitter.ts';

/**
 * The engine's hooks for resource indicators (RFC 8707). A token gets the scopes that the resource has, the client
 * is registered for and, where a person is involved, one of the person's roles allows.
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
    // Without `resource` in the token request, the token is for what was granted (RFC 8707 §2.2).
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
 * If there is no resource, the engine must see none. It takes an empty list for a choice that is left to it, and gives
 * no token for userinfo through the browser then.
 */
function unlessEmpty(identifiers: readonly string[]): string[] {
  // Its types know of no other answer than a list.
  return (identifiers.length === 0 ? undefined : [...identifiers]) as string[];
}

/**
 * The resource of a request that names none: the client's default where the request asks for one of its scopes or has no
 * person, else the one resource of the client that has the scopes asked for.
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

/** @throws errors.InvalidTarget where no resource, or more than one, has all of the scopes asked for that are an API's */
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
 * The roles of the person whom the request is about. `undefined` lifts the limits of roles: while nobody has signed in yet,
 * and for a machine that the operator registered for its scopes by name. A machine that registered itself has no role.
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

/** Only the API itself can read what its tokens say (RFC 7516), where it has a key for that. */
function encryption({
  access_token_encryption: chosen,
}: ResourceConfig): Pick<NonNullable<ResourceServer['jwt']>, 'encrypt'> | undefined {
  if (chosen === undefined) return undefined;
  const { alg, enc, jwk } = chosen;
  const kid = typeof jwk['kid'] === 'string' ? { kid: jwk['kid'] } : {};
  return { encrypt: { alg, enc, key: createPublicKey({ key: jwk, format: 'jwk' }), ...kid } };
}
