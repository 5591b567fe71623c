import type { Config } from '../config/schema.ts';
import { isReplicated } from '../config/store-durability.ts';
import { printableStoreUrl } from '../config/store-url.ts';
import { systemClock, type Clock, clockWarnings, SharedClock } from '../lib/clock.ts';
import { checkGrantsStore, checkRecordsStore, checkStoreReplicas, openStore, storeFileExists } from './open-store.ts';
import { assertLoaded } from './loading.ts';
import { StoreFormat } from './format.ts';
import { StoreMissing, StoreNotOpened, type Store } from './store.ts';

/** The two stores: durable records, and grants that expire. */
export interface Stores {
  records: Store;
  grants: Store;
  /** True if the records are in a file on this machine. */
  isEmbedded: boolean;
  /** The clock for every expiry and comparison of times. On every node it follows the clock of the grants store. */
  clock: SharedClock;
  /** The formats of the records in both stores. */
  format: StoreFormat;
  /** Measures again how far this machine's clock is from the grants store's clock. @throws StoreUnavailable */
  measureClock(): Promise<void>;
  /** Checks that could not run, and settings that the operator should change. */
  warnings: readonly string[];
  close(): Promise<void>;
}

interface OpeningOptions {
  /** True if a missing store may be created. */
  mayCreate?: boolean;
  /** The newest format that this process knows, for tests. */
  newest?: number;
}

/**
 * Opens stores that a server has created before, and creates none.
 * @throws StoreMissing, and everything that `openStores` throws
 */
export async function openExistingStores(settings: Config['stores'], given?: Clock): Promise<Stores> {
  const { grants, records = grants } = settings;
  const missing = [records, grants].find((url) => !storeFileExists(url));
  if (missing !== undefined) throw new StoreMissing(printableStoreUrl(missing));
  return openStores(settings, given, { mayCreate: false });
}

/**
 * Opens both stores. Refuses a partly filled one, and one that a newer version has upgraded.
 * @throws StoreLoading or NewerStore for such a store, and everything that `openStoresToFill` throws
 */
export async function openStores(settings: Config['stores'], given?: Clock, options?: OpeningOptions): Promise<Stores> {
  const stores = await openStoresToFill(settings, given, options);
  try {
    await assertStoresLoaded(settings, stores);
    return stores;
  } catch (error) {
    await stores.close();
    throw error;
  }
}

/** Refuses stores that a restore or a copy has filled only partly. @throws StoreLoading */
export async function assertStoresLoaded(
  { grants: grantsUrl, records: recordsUrl = grantsUrl }: Config['stores'],
  { grants, records }: Pick<Stores, 'grants' | 'records'>,
): Promise<void> {
  await Promise.all([
    assertLoaded(records, printableStoreUrl(recordsUrl)),
    ...(grants === records ? [] : [assertLoaded(grants, printableStoreUrl(grantsUrl))]),
  ]);
}

/**
 * Opens both stores, even if a restore has filled only a part of them.
 * @param given a clock in place of the grants store's, for tests
 * @throws StoreUnavailable, NewerStore, or Error for a store that could lose records
 */
export async function openStoresToFill(
  settings: Config['stores'],
  given?: Clock,
  { mayCreate = true, newest }: OpeningOptions = {},
): Promise<Stores> {
  const { grants: grantsUrl, records: recordsUrl = grantsUrl } = settings;
  const isReplicatedRole = { grants: isReplicated(settings, 'grants'), records: isReplicated(settings, 'records') };
  const clock = new SharedClock(given ?? systemClock);
  const opened: Store[] = [];
  const close = async (): Promise<void> => {
    for (const store of opened) await store.close();
  };
  try {
    const open = async (url: string, waitsForReplicas: boolean, origin: string): Promise<Store> => {
      const store = await openStore(url, clock, waitsForReplicas, mayCreate).catch((error: unknown) =>
        StoreNotOpened.rethrow(error, origin),
      );
      opened.push(store);
      return store;
    };
    const grants = await open(grantsUrl, isReplicatedRole.grants, 'stores.grants or LATCHKEY_STORE');
    const isOne = recordsUrl === grantsUrl && isReplicatedRole.records === isReplicatedRole.grants;
    const records = isOne
      ? grants
      : await open(recordsUrl, isReplicatedRole.records, 'stores.records or LATCHKEY_RECORDS_STORE');
    const warnings = await checkRecordsStore(recordsUrl, records);
    // `checkRecordsStore` has already refused a shared store that evicts.
    if (recordsUrl !== grantsUrl) warnings.push(...(await checkGrantsStore(grantsUrl, grants)));
    warnings.push(...(await checkStoreReplicas(grantsUrl, grants, isReplicatedRole.grants)));
    if (!isOne) warnings.push(...(await checkStoreReplicas(recordsUrl, records, isReplicatedRole.records)));
    const measureClock = () => (given === undefined ? clock.measure(() => grants.time()) : Promise.resolve());
    await measureClock();
    warnings.push(...clockWarnings(clock));
    const isEmbedded = recordsUrl.startsWith('sqlite:');
    const format = await StoreFormat.open(records, { place: printableStoreUrl(recordsUrl), clock, newest });
    return { records, grants, clock, format, measureClock, isEmbedded, warnings: [...new Set(warnings)], close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Opens one store by its URL, to copy from it or into it.
 * @param role the part that the target is to hold; undefined for the source
 * @throws StoreMissing for a source that does not exist, StoreLoading for a partly filled source, NewerStore for a source
 * of a newer version, StoreUnavailable, or Error for a target that could lose records
 */
export async function openOneStore(
  url: string,
  role: 'records' | 'grants' | undefined,
  given?: Clock,
): Promise<{ store: Store; warnings: readonly string[] }> {
  if (role === undefined && !storeFileExists(url)) throw new StoreMissing(printableStoreUrl(url));
  const clock = new SharedClock(given ?? systemClock);
  const store = await openStore(url, clock, false, role !== undefined);
  try {
    if (given === undefined) await clock.measure(() => store.time());
    if (role === undefined) {
      await assertLoaded(store, printableStoreUrl(url));
      await StoreFormat.open(store, { place: printableStoreUrl(url), clock });
      return { store, warnings: [] };
    }
    return { store, warnings: await (role === 'records' ? checkRecordsStore : checkGrantsStore)(url, store) };
  } catch (error) {
    await store.close();
    throw error;
  }
}
