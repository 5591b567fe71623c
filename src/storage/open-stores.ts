import type { Config } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import { checkGrantsStore, checkRecordsStore, openStore } from './open-store.ts';
import type { Store } from './store.ts';

/** The two roles of storage: what must never be lost, and what lives for a time. */
export interface Stores {
  records: Store;
  grants: Store;
  /** Whether the records are in a file of this machine. */
  isEmbedded: boolean;
  /** What could not be checked of the store for records, and what is better changed of that for grants. */
  warnings: readonly string[];
  close(): Promise<void>;
}

/** @throws StoreUnavailable, or Error for a store that could lose records */
export async function openStores(
  { grants: grantsUrl, records: recordsUrl = grantsUrl }: Config['stores'],
  clock: Clock,
): Promise<Stores> {
  const opened: Store[] = [];
  const close = async (): Promise<void> => {
    for (const store of opened) await store.close();
  };
  try {
    const open = async (url: string): Promise<Store> => {
      const store = await openStore(url, clock);
      opened.push(store);
      return store;
    };
    const grants = await open(grantsUrl);
    const records = recordsUrl === grantsUrl ? grants : await open(recordsUrl);
    const warnings = await checkRecordsStore(recordsUrl, records);
    // One for both has just been refused if it evicts.
    if (recordsUrl !== grantsUrl) warnings.push(...(await checkGrantsStore(grantsUrl, grants)));
    return { records, grants, isEmbedded: recordsUrl.startsWith('sqlite:'), warnings, close };
  } catch (error) {
    await close();
    throw error;
  }
}
