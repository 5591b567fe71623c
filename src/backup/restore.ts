import { writeNotBefore } from '../sessions/not-before.ts';
import { isLoadingMark, type Load } from '../storage/loading.ts';
import { isAccountKey, isUnknown, kindOf, roleOf } from '../storage/kinds.ts';
import { idOf, type Item, type Store } from '../storage/store.ts';
import { isReadySince } from './copy.ts';

/**
 * Kinds of the records store that are not restored. An invitation may have been used since the backup, and a readiness
 * record describes a server that no longer runs, and an interrupted upgrade begins again.
 */
const SKIPPED_RECORD_KINDS = new Set(['invitation', 'readiness', 'store-upgrade']);

/**
 * Kinds of the grants store that are restored: records by which the server refuses or delays requests, and messages
 * that other systems have yet to receive. No other kind is restored, because a code, a token or a session could have
 * been used or revoked since the backup.
 */
const RESTORED_GRANT_KINDS = new Set([
  ...['cut', 'used-assertion', 'replay', 'attempt-pause', 'attempts', 'spent', 'document-fetches'],
  ...['signal', 'signal-queue', 'logout-delivery'],
]);

/** Longest time in seconds for which an assertion may be accepted. */
const LONGEST_ASSERTION = 25 * 3600;

interface RestoreDependencies {
  records: Store;
  grants: Store;
  /** The right to fill each of the stores. */
  loads: readonly Load[];
  now: () => number;
  /** Lifetime of a not-before instant in seconds, longer than that of anything that it invalidates. */
  notBeforeLife: number;
  /** The keys of the accounts, if they are not in the backup itself. An account without a key is removed then. */
  accountKeys: AsyncIterable<readonly Item[]> | undefined;
}

export interface Restored {
  items: number;
  /** The number of items that were left out. */
  skipped: number;
  /** The number of accounts that were removed because they have been erased since the backup. */
  erased: number;
  /** The not-before instant in milliseconds since the epoch: everything that began earlier is invalid. */
  notBefore: number;
}

/** Adds the numbers of records whose kind this version does not know, and which a restore therefore leaves out. */
export function countUnknown(batch: readonly Item[], counts: Map<string, number>): void {
  for (const item of batch) if (isUnknown(item)) counts.set(kindOf(item), (counts.get(kindOf(item)) ?? 0) + 1);
}

function isRestored(item: Item): boolean {
  if (isLoadingMark(item)) return false;
  const kind = kindOf(item);
  return roleOf(item) === 'records' ? !SKIPPED_RECORD_KINDS.has(kind) : RESTORED_GRANT_KINDS.has(kind);
}

/**
 * Writes a backup into empty stores. It then sets the not-before instant of everybody and of all assertions to the
 * current time, so that everything used or revoked after the backup stays invalid. It may be repeated after an
 * interruption.
 * @param onBatch is called after each batch
 */
export async function restoreBackup(
  batches: AsyncIterable<readonly Item[]>,
  { records, grants, loads, now, notBeforeLife, accountKeys }: RestoreDependencies,
  onBatch: (batch: readonly Item[]) => void,
): Promise<Restored> {
  const begunAt = now();
  let [items, skipped, erased] = [0, 0, 0];
  if (accountKeys !== undefined) {
    for await (const batch of accountKeys) {
      await Promise.all([records.load(batch.filter(isAccountKey)), ...loads.map((load) => load.renew())]);
      onBatch(batch);
    }
  }
  for await (const batch of batches) {
    const chosen = batch.filter(isRestored);
    const { records: durable = [], grants: expiring = [] } = Object.groupBy(chosen, roleOf);
    await Promise.all([records.load(durable), grants.load(expiring), ...loads.map((load) => load.renew())]);
    items += chosen.length;
    skipped += batch.length - chosen.length;
    onBatch(batch);
  }
  for (const store of new Set([records, grants]))
    erased += await tidy(store, loads, { begunAt, isErasing: accountKeys !== undefined });
  const notBefore = now();
  await writeNotBefore(grants, 'everybody', notBefore, notBeforeLife);
  await writeNotBefore(grants, 'assertions', notBefore, LONGEST_ASSERTION);
  for (const load of loads) await load.end();
  return { items, skipped, erased, notBefore };
}

/**
 * Deletes what belongs to an account that is not in the store, or that lacks its key. A backup that was made while an
 * account was made or removed may have its address without the rest, and nobody could sign up with such an address.
 * With `isErasing`, it also deletes sealed accounts that lack their key, because they were erased.
 * @returns the number of those accounts
 * @throws Error if a server has used the store since `begunAt`
 */
async function tidy(
  store: Store,
  loads: readonly Load[],
  { begunAt, isErasing }: { begunAt: number; isErasing: boolean },
): Promise<number> {
  let erased = 0;
  for await (const batch of store.dump()) {
    for (const load of loads) await load.renew();
    if (batch.some((item) => isReadySince(item, begunAt))) {
      throw new Error(
        'a server used the store during the restore: stop every server, empty the store, and run this again',
      );
    }
    const owned = batch.flatMap((item) => {
      const account = ownerOf(item);
      return account === undefined ? [] : [{ key: item.key, account }];
    });
    const accounts = await store.getMany(owned.map(({ account }) => `account:${account}`));
    const keys = await store.getMany(owned.map(({ account }) => `account-key:${account}`));
    const isLost = (at: number): boolean =>
      accounts[at] === undefined || (keys[at] === undefined && isSealed(accounts[at].value));
    await Promise.all(owned.filter((_one, at) => isLost(at)).map(({ key }) => store.delete(key)));
    if (isErasing) erased += await deleteErased(store, batch);
  }
  return erased;
}

/** Deletes the sealed accounts of a batch that lack their key. @returns their number */
async function deleteErased(store: Store, batch: readonly Item[]): Promise<number> {
  const sealed = batch.filter(
    (item) => item.kind === 'record' && kindOf(item) === 'account' && isSealed(JSON.parse(item.json)),
  );
  const keys = await store.getMany(sealed.map(({ key }) => `account-key:${idOf(key)}`));
  const erased = sealed.filter((_account, at) => keys[at] === undefined);
  await Promise.all(erased.map(({ key }) => store.delete(key)));
  return erased.length;
}

/** Tells whether an account can be read only with its key. */
function isSealed(account: unknown): boolean {
  return typeof account === 'object' && account !== null && 'claim' in account;
}

/** Returns the id of the account that a durable record belongs to, if any. */
function ownerOf(item: Item): string | undefined {
  if (item.kind !== 'record') return undefined;
  const id = item.key.slice(item.key.indexOf(':') + 1);
  switch (kindOf(item)) {
    case 'account-email':
    case 'issuer-link':
      return (JSON.parse(item.json) as { account?: string }).account;
    case 'account-key':
    case 'password':
      return id;
    case 'consent':
      return id.slice(0, id.indexOf(':'));
    case 'signal-subject':
    case 'signal-acquaintance':
      return id.slice(id.lastIndexOf(':') + 1);
    default:
      return undefined;
  }
}
