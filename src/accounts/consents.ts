import { everyRecord } from '../storage/every-member.ts';
import { keyspace, type Index, type Store } from '../storage/store.ts';
import type { ResourceConfig } from '../config/schema.ts';
import { standardScopes } from '../config/sections/claims-schema.ts';
import { scopesOfClaims } from './claims.ts';

/** The access that a person has allowed a client. It outlives the session in which it was allowed. */
export interface Consent {
  /** Scopes of this server itself: `openid`, `profile`, … */
  scopes: readonly string[];
  /** Claims that the client requested one by one (OpenID Connect Core §5.5). */
  claims?: readonly string[];
  /** Scopes per resource server, by its identifier (RFC 8707). */
  resources: Readonly<Record<string, readonly string[]>>;
}

export interface Consents {
  find(account: string, clientId: string): Promise<Consent | undefined>;
  remember(account: string, clientId: string, consent: Consent): Promise<void>;
  /** Lists a person's consents, client by client. */
  list(account: string): AsyncIterable<{ client: string; consent: Consent }>;
  /** Withdraws the person's consent. @returns whether the person had allowed the client anything */
  withdraw(account: string, clientId: string): Promise<boolean>;
}

const consentKey = keyspace<Consent>('consent');
const consentsOf = (account: string): Index<Consent> => `consents-of-account:${account}`;

export function openConsents(records: Store): Consents {
  const keyOf = (account: string, clientId: string): string => consentKey(`${account}:${clientId}`);
  return {
    async find(account, clientId) {
      return (await records.get<Consent>(keyOf(account, clientId)))?.value;
    },
    async remember(account, clientId, consent) {
      await records.set<Consent>(keyOf(account, clientId), consent, { indexes: [consentsOf(account)] });
    },
    async *list(account) {
      for await (const { key, value: consent } of everyRecord(records, consentsOf(account)))
        yield { client: key.slice(keyOf(account, '').length), consent };
    },
    withdraw: (account, clientId) => records.delete(keyOf(account, clientId)),
  };
}

/** Returns everything that at least one of the two consents allows. */
export function mergeConsents(before: Consent | undefined, added: Consent): Consent {
  const resources: Record<string, readonly string[]> = { ...before?.resources };
  for (const [identifier, scopes] of Object.entries(added.resources)) {
    resources[identifier] = [...new Set([...(resources[identifier] ?? []), ...scopes])];
  }
  return {
    scopes: [...new Set([...(before?.scopes ?? []), ...added.scopes])],
    claims: [...new Set([...(before?.claims ?? []), ...(added.claims ?? [])])],
    resources,
  };
}

/** A permission in words. `resourceName` is set if the permission is for an API. */
interface ScopeInWords {
  readonly description: string;
  readonly resourceName?: string;
}

/** Describes every scope except `offline_access`, for which pages have their own sentence. */
export function scopesInWords(asked: Consent, resources: readonly ResourceConfig[]): ScopeInWords[] {
  // Describes a claim as its whole scope, which never says less than the claim, but for a few claims says more.
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
