import { createPublicKey } from 'node:crypto';
import { errors, type Client, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider';
import type { ResourceConfig } from '../../config/schema.ts';
import { policyOf, rulesOf } from '../clients/client-metadata.ts';
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
      if (oneOf !== undefined) return [...oneOf];
      if (transmitter?.isMeant(context, client) === true) return [transmitter.identifier];
      return defaultResource(context, client, resources);
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
      const roles = await rolesOf(context, options.accountOf);
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

/** A client's default stands in when the request asks for one of that resource's scopes, or when it has no person. */
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
  return [];
}

/** The roles of the person whom the request is about; `undefined` while it is about none. */
async function rolesOf(context: KoaContextWithOIDC, accountOf: AccountOf): Promise<readonly string[] | undefined> {
  const id = context.oidc.account?.accountId ?? context.oidc.session?.accountId;
  if (id === undefined) return undefined;
  return (await accountOf(context, id))?.roles ?? [];
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
