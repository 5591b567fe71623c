import type { ResourceConfig } from '../config/schema.ts';
import { standardScopes } from '../config/sections/claims-schema.ts';
import { scopesOfClaims } from './claims.ts';
import type { Consent } from './consents.ts';

/** A permission in words; `resourceName` is set if it is for an API. */
export interface ScopeInWords {
  readonly description: string;
  readonly resourceName?: string;
}

/** Describes every scope except `offline_access`, for which pages have their own sentence. */
export function scopesInWords(asked: Consent, resources: readonly ResourceConfig[]): ScopeInWords[] {
  // A claim is described like its scope: never as less, and for a few claims as more.
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
