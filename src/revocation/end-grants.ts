import { endGrantRecord, grantKey, grantsOfAccount, startOfGrant } from '../oidc/storage/grant-records.ts';
import type { GrantRecord } from '../oidc/storage/grant-records.ts';
import { everyRecord } from '../storage/every-member.ts';
import { idOf } from '../storage/store.ts';
import type { WalkParts } from './parts.ts';

type Parts = Pick<WalkParts, 'grants' | 'tokens' | 'clock'>;

/** Nothing more comes of a grant, and then all that has come of it ends: what was under way is met by the next sweep. */
export async function endGrant(parts: Parts, id: string): Promise<void> {
  const { grants, tokens, clock } = parts;
  const key = grantKey(id);
  const stored = await grants.get(key);
  if (stored !== undefined) await endGrantRecord(grants, stored, key, clock.now());
  await tokens.endOfGrant(id);
}

/** Those of an account that began before an instant: a client's, or all. What a person allows anew since then stays. */
export async function endGrantsOf(
  parts: Parts,
  account: string,
  { client, before }: { client?: string; before: number },
): Promise<void> {
  const isMeant = (grant: GrantRecord): boolean =>
    (client === undefined || grant.clientId === client) && startOfGrant(grant) < before;
  for await (const id of grantsWhere(parts, account, isMeant)) await endGrant(parts, id);
}

/** The grants of an account go on; the access tokens that came of them before an instant do not. */
export async function endAccessOf(parts: Parts, account: string, before: number): Promise<void> {
  for await (const id of grantsWhere(parts, account, () => true)) await parts.tokens.endAccessOfGrant(id, before);
}

async function* grantsWhere(
  { grants }: Parts,
  account: string,
  isMeant: (grant: GrantRecord) => boolean,
): AsyncGenerator<string> {
  for await (const { key, value } of everyRecord(grants, grantsOfAccount(account))) if (isMeant(value)) yield idOf(key);
}
