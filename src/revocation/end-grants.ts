import { endGrantRecord, grantKey, grantsOfAccount, startOfGrant } from '../sessions/grant-records.ts';
import type { GrantRecord } from '../sessions/grant-records.ts';
import { forEachAtOnce } from '../storage/at-once.ts';
import { everyRecord } from '../storage/every-member.ts';
import { idOf, type Key, type Stored } from '../storage/store.ts';
import type { RevocationDependencies } from './dependencies.ts';

type Parts = Pick<RevocationDependencies, 'grants' | 'tokens' | 'clock'>;

/** Ends grants and everything issued under them. The next pass finds tokens that were being issued. */
export async function endGrants(parts: Parts, ids: readonly string[]): Promise<void> {
  const { grants, tokens } = parts;
  if (ids.length === 0) return;
  const keys = ids.map(grantKey);
  const end = async (): Promise<void> => endRecords(parts, keys, await grants.getMany(keys));
  await Promise.all([end(), tokens.endOfGrants(ids)]);
}

/** Ends an account's grants from before an instant: one client's, or all. Later consent stays. @returns their ids */
export async function endGrantsOf(
  parts: Parts,
  account: string,
  { client, before }: { client?: string; before: number },
): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const page of pagesOf(parts, account)) {
    const meant = page.filter(
      ({ value }) => (client === undefined || value.clientId === client) && startOfGrant(value) < before,
    );
    const keys = meant.map(({ key }) => key);
    await Promise.all([endRecords(parts, keys, meant), parts.tokens.endOfGrants(keys.map(idOf))]);
    for (const key of keys) ids.add(idOf(key));
  }
  return ids;
}

/** Revokes the access tokens of an account's grants from before an instant; the grants stay. */
export async function endAccessOf(parts: Parts, account: string, before: number): Promise<void> {
  for await (const page of pagesOf(parts, account))
    await parts.tokens.endAccessOfGrants(
      page.map(({ key }) => idOf(key)),
      before,
    );
}

type Found = Stored<GrantRecord> & { key: Key<GrantRecord> };

/** Reads an index in pages of a hundred. */
async function* pagesOf({ grants }: Parts, account: string): AsyncGenerator<Found[]> {
  let page: Found[] = [];
  for await (const found of everyRecord(grants, grantsOfAccount(account))) {
    page.push(found);
    if (page.length === 100) {
      yield page;
      page = [];
    }
  }
  if (page.length > 0) yield page;
}

async function endRecords(
  { grants, clock }: Parts,
  keys: readonly Key<GrantRecord>[],
  found: readonly (Stored<GrantRecord> | undefined)[],
): Promise<void> {
  await forEachAtOnce(keys.entries(), async ([at, key]) => {
    const stored = found[at];
    if (stored !== undefined) await endGrantRecord(grants, stored, key, clock.now());
  });
}
