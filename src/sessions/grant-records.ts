import type { AdapterPayload } from 'oidc-provider';
import type { Consent } from '../accounts/consents.ts';
import { keyspace, type Index, type Key, type Store, type Stored, type WriteOptions } from '../storage/store.ts';
import { update } from '../storage/update.ts';
import { isInvalidated } from './not-before.ts';
import { lifetime, REMEMBERED } from './session-records.ts';

/** A grant as the engine stores it, with the times of its start and end in milliseconds since the epoch. */
export type GrantRecord = AdapterPayload & {
  openid?: { scope?: string; claims?: string[] };
  /** Scopes by resource. */
  resources?: Record<string, string>;
  /** Start of the request for the grant, or of an earlier sign-in. */
  startedAt?: number;
  endedAt?: number;
};

export const grantKey: (id: string) => Key<GrantRecord> = keyspace<GrantRecord>('grant');
export const grantsOfAccount = (account: string): Index<GrantRecord> => `grants-of-account:${account}`;

export function grantOptions({ accountId }: GrantRecord, ttl: number | undefined): WriteOptions {
  return { ...lifetime(ttl), indexes: accountId === undefined ? [] : [grantsOfAccount(accountId)] };
}

/** Returns the start of a grant. A record of an earlier version has no `startedAt`, only the engine's whole seconds. */
export function startOfGrant({ startedAt, iat = 0 }: GrantRecord): number {
  return startedAt ?? iat * 1000;
}

/** Tells whether a grant is active: it has not ended, and no not-before instant covers it. */
export async function grantCounts(grants: Store, grant: GrantRecord): Promise<boolean> {
  if (grant.endedAt !== undefined) return false;
  const { accountId: account, clientId: client } = grant;
  return !(await isInvalidated(grants, { account, client, startedAt: startOfGrant(grant) }));
}

/** Marks a grant as ended, on all nodes at once. The record stays for {@link REMEMBERED} seconds. */
export async function endGrantRecord(grants: Store, stored: Stored<GrantRecord>, key: Key<GrantRecord>, at: number) {
  const end = (now: GrantRecord): GrantRecord | undefined =>
    now.endedAt === undefined ? { ...now, endedAt: at } : undefined;
  await update(grants, key, stored, end, grantOptions(stored.value, REMEMBERED));
}

/** Returns the access that a grant gives. */
export function consentOf({ openid, resources = {} }: GrantRecord): Consent {
  const words = (text: string | undefined): string[] => text?.split(' ').filter(Boolean) ?? [];
  return {
    scopes: words(openid?.scope),
    claims: openid?.claims ?? [],
    resources: Object.fromEntries(Object.entries(resources).map(([identifier, scopes]) => [identifier, words(scopes)])),
  };
}
