import type { Client, UnknownObject } from 'oidc-provider';
import type { Consent } from '../../accounts/consents.ts';
import type { ResourceConfig } from '../../config/schema.ts';
import { STANDARD_SCOPES } from '../../config/sections/claims-schema.ts';
import { policyOf } from '../clients/client-metadata.ts';

/** Reads the access that a CIBA request asks for, before the person is known, whose roles may narrow it. */
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
