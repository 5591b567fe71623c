import type { ResourceConfig } from '../config/schema.ts';
import { standardScopes } from '../config/standard-scopes.ts';
import { scopesOfClaims } from './claims.ts';
import type { Consent } from './consents.ts';

/** A permission in words; `resourceName` is set if it is for an API. */
export interface ScopeInWords {
  readonly description: string;
  readonly resourceName?: string;
}

/** All but `offline_access`, for which pages have a sentence of their own. */
export function scopesInWords(asked: Consent, resources: readonly ResourceConfig[]): ScopeInWords[] {
  // A claim is told as its scope would be: neither less nor, for the few claims that there are, more.
  const own = [...new Set([...asked.scopes, ...scopesOfClaims(asked.claims ?? [])])]
    .filter((scope) => scope !== 'offline_access')
    .map((scope) => ({ description: standardScopes[scope as keyof typeof standardScopes] }));
  const others = Object.entries(asked.resources).flatMap(([identifier, scopes]) => {
    const resource = resources.find((known) => known.identifier === identifier);
    if (resource === undefined) return [];
    return scopes.map((scope) => ({
      description: resource.scopes[scope]?.description ?? scope,
      resourceName: resource.name,
    }));
  });
  return [...own, ...others];
}
