import { kindOf } from './kinds.ts';
import { keyspace, type Item, type Key, type Store } from './store.ts';

/** Mark of a store that is being filled. No server and no other command opens it. */
interface Loading {
  by: 'restore' | 'copy';
  /** The backup or the store that it is filled from. */
  source: string;
  /** Latest sign of life of the process that fills it, by the store's clock. */
  aliveAt: number;
}

const loadingKey: Key<Loading> = keyspace<Loading>('store-loading')('main');

/**
 * Milliseconds between two signs of life of a load, and milliseconds without one after which another process may
 * continue.
 */
const PERIOD = 3000;
const SILENT = 20_000;

/** The store cannot be opened, or filled, as it is. */
class StoreLoading extends Error {
  override name = 'StoreLoading';
}

/** @param place the store URL without its password @throws StoreLoading if only a part of the store is there */
export async function assertLoaded(store: Pick<Store, 'get'>, place: string): Promise<void> {
  const found = await store.get(loadingKey);
  if (found === undefined) return;
  const { by } = found.value;
  throw new StoreLoading(
    `the store ${place} holds a part only: "latchkey store ${by}" has not finished. Run it again with the same source, ` +
      'or empty the store',
  );
}

/** The right of one process to fill an empty store. An interrupted one is continued from the same source. */
export class Load {
  readonly #store: Store;
  readonly #value: Loading;
  #version: number;
  #renewedAt = performance.now();

  private constructor(store: Store, value: Loading, version: number) {
    this.#store = store;
    this.#value = value;
    this.#version = version;
  }

  /** Tells whether a run has begun to fill the store from the source. */
  static async isBegun(store: Store, source: string): Promise<boolean> {
    return (await store.get(loadingKey))?.value.source === source;
  }

  /**
   * @param isContinued true if a run was interrupted that filled this store and another @throws StoreLoading if the store
   * is not empty, or another process fills it
   */
  static async begin(
    store: Store,
    { by, source, place }: Omit<Loading, 'aliveAt'> & { place: string },
    isContinued = false,
  ): Promise<Load> {
    const value = { by, source, aliveAt: await store.time() };
    const found = await store.get(loadingKey);
    if (found === undefined) {
      if (!isContinued) await assertEmpty(store, place);
    } else if (found.value.source !== source || found.value.by !== by) {
      throw new StoreLoading(`${place} holds a part of another ${found.value.by}: empty it, or go on with that one`);
    } else if (value.aliveAt - found.value.aliveAt < SILENT) {
      throw new StoreLoading(
        `another process fills ${place} now: wait until it ends, or stop it and wait ${SILENT / 1000} s`,
      );
    }
    const isFirst =
      found === undefined
        ? await store.create(loadingKey, value)
        : await store.replace(loadingKey, value, found.version);
    const version = (await store.get(loadingKey))?.version;
    if (!isFirst || version === undefined) throw new StoreLoading(`another process has just begun to fill ${place}`);
    return new Load(store, value, version);
  }

  /** Shows that this process still works. @throws StoreLoading if another one has taken over */
  async renew(): Promise<void> {
    if (performance.now() - this.#renewedAt < PERIOD) return;
    this.#renewedAt = performance.now();
    const value = { ...this.#value, aliveAt: await this.#store.time() };
    if (!(await this.#store.replace(loadingKey, value, this.#version))) {
      throw new StoreLoading('this process was stopped for too long: another one fills the store now');
    }
    this.#version += 1;
  }

  /** Removes the mark: all is there. */
  async end(): Promise<void> {
    await this.#store.delete(loadingKey);
  }
}

/** Tells whether an item is the mark itself, which belongs to one store only. */
export function isLoadingMark(item: Item): boolean {
  return item.kind === 'record' && item.key === loadingKey;
}

async function assertEmpty(store: Store, place: string): Promise<void> {
  for await (const batch of store.dump()) {
    const kinds = [...new Set(batch.map(kindOf))];
    const server = kinds.includes('readiness') ? ' A server uses it, or did a minute ago.' : '';
    throw new StoreLoading(
      `${place} is not empty (${kinds.slice(0, 5).join(', ')}): nothing was changed.${server} Name an empty store`,
    );
  }
}
