import { writeNotBefore } from '../sessions/not-before.ts';
import { isLoadingMark, type Load } from '../storage/loading.ts';
import { kindOf, roleOf } from '../storage/kinds.ts';
import type { Item, Store } from '../storage/store.ts';

/**
 * Kinds of the records store that are not restored. An invitation may have been used since the backup, and a readiness
 * record describes a server that no longer runs.
 */
const SKIPPED_RECORD_KINDS = new Set(['invitation', 'readiness']);

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
}

export interface Restored {
  items: number;
  /** The number of items that were left out. */
  skipped: number;
  /** The not-before instant in milliseconds since the epoch: everything that began earlier is invalid. */
  notBefore: number;
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
  { records, grants, loads, now, notBeforeLife }: RestoreDependencies,
  onBatch: (batch: readonly Item[]) => void,
): Promise<Restored> {
  let [items, skipped] = [0, 0];
  for await (const batch of batches) {
    const chosen = batch.filter(isRestored);
    const { records: durable = [], grants: expiring = [] } = Object.groupBy(chosen, roleOf);
    await Promise.all([records.load(durable), grants.load(expiring), ...loads.map((load) => load.renew())]);
    items += chosen.length;
    skipped += batch.length - chosen.length;
    onBatch(batch);
  }
  const notBefore = now();
  await writeNotBefore(grants, 'everybody', notBefore, notBeforeLife);
  await writeNotBefore(grants, 'assertions', notBefore, LONGEST_ASSERTION);
  for (const load of loads) await load.end();
  return { items, skipped, notBefore };
}
