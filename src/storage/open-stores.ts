import type { Config } from '../config/schema.ts';
import { isReplicated } from '../config/store-durability.ts';
import { printableStoreUrl } from '../config/store-url.ts';
import { systemClock, type Clock, clockWarnings, SharedClock } from '../lib/clock.ts';
import { checkGrantsStore, checkRecordsStore, checkStoreReplicas, openStore, storeFileExists } from './open-store.ts';
import { assertLoaded } from './loading.ts';
import { StoreMissing, type Store } from './store.ts';

/** The two stores: durable records, and grants that expire. */
export interface Stores {
  records: Store;
  grants: Store;
  /** True if the records are in a file on this machine. */
  isEmbedded: boolean;
  /** The clock by which records expire and are compared: on every node, the clock of the grants store. */
  clock: SharedClock;
  /** Compares this machine's clock with the store's again. @throws StoreUnavailable */
  measureClock(): Promise<void>;
  /**
   * Checks of the records store that could not run, and settings of the grants store that the operator should change.
   */
  warnings: readonly string[];
  close(): Promise<void>;
}

/**
 * Opens stores that a server has made before, and makes none.
 * @throws StoreMissing, and all that `openStores` throws
 */
export async function openExistingStores(settings: Config['stores'], given?: Clock): Promise<Stores> {
  const { grants, records = grants } = settings;
  const missing = [records, grants].find((url) => !storeFileExists(url));
  if (missing !== undefined) throw new StoreMissing(missing);
  return openStores(settings, given, { mayMake: false });
}

/** @throws StoreLoading for a store that is not filled yet, and as `openStoresToFill` */
export async function openStores(
  settings: Config['stores'],
  given?: Clock,
  making?: { mayMake: boolean },
): Promise<Stores> {
  const stores = await openStoresToFill(settings, given, making);
  const { grants: grantsUrl, records: recordsUrl = grantsUrl } = settings;
  try {
    const { grants, records } = stores;
    await Promise.all([
      assertLoaded(records, printableStoreUrl(recordsUrl)),
      ...(grants === records ? [] : [assertLoaded(grants, printableStoreUrl(grantsUrl))]),
    ]);
    return stores;
  } catch (error) {
    await stores.close();
    throw error;
  }
}

/**
 * @param given a clock in place of the grants store's, for tests @throws StoreUnavailable, or Error for a store that
 * could lose records
 */
export async function openStoresToFill(
  settings: Config['stores'],
  given?: Clock,
  { mayMake }: { mayMake: boolean } = { mayMake: true },
): Promise<Stores> {
  const { grants: grantsUrl, records: recordsUrl = grantsUrl } = settings;
  const isSafe = { grants: isReplicated(settings, 'grants'), records: isReplicated(settings, 'records') };
  const clock = new SharedClock(given ?? systemClock);
  const opened: Store[] = [];
  const close = async (): Promise<void> => {
    for (const store of opened) await store.close();
  };
  try {
    const open = async (url: string, waits: boolean): Promise<Store> => {
      const store = await openStore(url, clock, waits, mayMake);
      opened.push(store);
      return store;
    };
    const grants = await open(grantsUrl, isSafe.grants);
    const isOne = recordsUrl === grantsUrl && isSafe.records === isSafe.grants;
    const records = isOne ? grants : await open(recordsUrl, isSafe.records);
    const warnings = await checkRecordsStore(recordsUrl, records);
    // A shared store that evicts has just been refused.
    if (recordsUrl !== grantsUrl) warnings.push(...(await checkGrantsStore(grantsUrl, grants)));
    warnings.push(...(await checkStoreReplicas(grantsUrl, grants, isSafe.grants)));
    if (!isOne) warnings.push(...(await checkStoreReplicas(recordsUrl, records, isSafe.records)));
    const measureClock = () => (given === undefined ? clock.measure(() => grants.time()) : Promise.resolve());
    await measureClock();
    warnings.push(...clockWarnings(clock));
    const isEmbedded = recordsUrl.startsWith('sqlite:');
    return { records, grants, clock, measureClock, isEmbedded, warnings: [...new Set(warnings)], close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Opens one store by its URL, to copy from it or into it. @param role what it is to hold; undefined for a source
 * @throws StoreMissing for a source that is not there, StoreUnavailable, or Error for a store that could lose records
 */
export async function openOneStore(
  url: string,
  role: 'records' | 'grants' | undefined,
  given?: Clock,
): Promise<{ store: Store; warnings: readonly string[] }> {
  if (role === undefined && !storeFileExists(url)) throw new StoreMissing(url);
  const clock = new SharedClock(given ?? systemClock);
  const store = await openStore(url, clock);
  try {
    if (given === undefined) await clock.measure(() => store.time());
    if (role === undefined) {
      await assertLoaded(store, printableStoreUrl(url));
      return { store, warnings: [] };
    }
    return { store, warnings: await (role === 'records' ? checkRecordsStore : checkGrantsStore)(url, store) };
  } catch (error) {
    await store.close();
    throw error;
  }
}
