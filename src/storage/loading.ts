import { quoted } from '../lib/hidden-characters.ts';
import { kindOf } from './kinds.ts';
import { keyspace, type Item, type Key, type Store } from './store.ts';

/** A mark in a store that a command is filling. While it exists, no server and no other command uses the store. */
interface Loading {
  by: 'restore' | 'copy';
  /** The backup or the store from which the command fills it. */
  source: string;
  /** Time of the latest report that the filling process is alive, in milliseconds by the store's clock. */
  aliveAt: number;
}

const loadingKey: Key<Loading> = keyspace<Loading>('store-loading')('main');

/** Milliseconds between two reports that the filling process is alive. */
const REPORT_INTERVAL = 3000;
/** Milliseconds without a report after which another process may continue. */
const DEAD_AFTER = 20_000;

/** Refusal to use a partly filled store, or to fill one that is not empty or that another process is filling. */
class StoreLoading extends Error {
  override name = 'StoreLoading';
}

/** Refuses a partly filled store. @param place the store URL without its password @throws StoreLoading */
export async function assertLoaded(store: Pick<Store, 'get'>, place: string): Promise<void> {
  const found = await store.get(loadingKey);
  if (found === undefined) return;
  const { by } = found.value;
  throw new StoreLoading(
    `the store ${place} is incomplete: "latchkey store ${by}" has not finished. Run it again with the same source, ` +
      'or empty the store',
  );
}

/**
 * The right of one process to fill an empty store. After an interruption, another run continues from the same source.
 */
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

  /** Tells whether an earlier run has begun to fill the store from this source. */
  static async isBegun(store: Store, source: string): Promise<boolean> {
    return (await store.get(loadingKey))?.value.source === source;
  }

  /**
   * Begins to fill a store, or continues an interrupted run.
   * @param isContinued true if an interrupted run has filled this store or its companion, so that the store need not be
   * empty
   * @throws StoreLoading if the store is not empty, or another process fills it
   */
  static async begin(
    store: Store,
    { by, source, place }: Omit<Loading, 'aliveAt'> & { place: string },
    isContinued = false,
  ): Promise<Load> {
    const value = { by, source, aliveAt: await store.time() };
    const found = await store.get(loadingKey);
    if (found !== undefined) assertContinuable(found.value, value, place);
    else if (!isContinued) await assertEmpty(store, place);
    const isFirst =
      found === undefined
        ? await store.create(loadingKey, value)
        : await store.replace(loadingKey, value, found.version);
    const version = (await store.get(loadingKey))?.version;
    if (!isFirst || version === undefined) throw new StoreLoading(`another process has just begun to fill ${place}`);
    if (found === undefined && !isContinued) {
      // Looks again, because a server may have written before it could see the mark.
      await assertEmpty(store, place).catch(async (error: unknown) => {
        await store.delete(loadingKey);
        throw error;
      });
    }
    return new Load(store, value, version);
  }

  /**
   * Reports that this process is alive, unless it has just done so.
   * @throws StoreLoading if another one has taken over
   */
  async renew(): Promise<void> {
    if (performance.now() - this.#renewedAt >= REPORT_INTERVAL) await this.#renew();
  }

  /** Passes batches on, and reports meanwhile that this process is alive. */
  async *during<T>(batches: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const batch of batches) {
      await this.renew();
      yield batch;
    }
  }

  /** Ends this run before the store is complete. Another run may continue at once. @throws StoreLoading */
  async pause(): Promise<void> {
    await this.#renew();
    await this.#store.replace(loadingKey, { ...this.#value, aliveAt: 0 }, this.#version);
  }

  /** Removes the mark, because the store is complete. @throws StoreLoading if another process has taken over */
  async end(): Promise<void> {
    await this.#renew();
    await this.#store.delete(loadingKey);
  }

  async #renew(): Promise<void> {
    this.#renewedAt = performance.now();
    const value = { ...this.#value, aliveAt: await this.#store.time() };
    if (!(await this.#store.replace(loadingKey, value, this.#version))) {
      throw new StoreLoading('this process was suspended for too long, and another one now fills the store');
    }
    this.#version += 1;
  }
}

/** Tells whether an item is the mark, which belongs to one store and is never copied to another. */
export function isLoadingMark(item: Item): boolean {
  return item.kind === 'record' && item.key === loadingKey;
}

/** Checks that an interrupted run may be continued. @throws StoreLoading */
function assertContinuable(found: Loading, { by, source, aliveAt }: Loading, place: string): void {
  if (found.source !== source || found.by !== by) {
    throw new StoreLoading(`${place} holds a part of another ${found.by}: empty it, or go on with that one`);
  }
  // A later time means that the clock was set back. A process that is alive soon reports by the new time.
  if (Math.abs(aliveAt - found.aliveAt) < DEAD_AFTER) {
    throw new StoreLoading(
      `another process is filling ${place}: wait until it ends, or stop it and wait ${DEAD_AFTER / 1000} s`,
    );
  }
}

async function assertEmpty(store: Store, place: string): Promise<void> {
  for await (const batch of store.dump()) {
    const kinds = [...new Set(batch.filter((item) => !isLoadingMark(item)).map(kindOf))];
    if (kinds.length === 0) continue;
    const server = kinds.includes('readiness') ? ' A server uses it, or has used it within the last minute.' : '';
    throw new StoreLoading(
      `${place} is not empty (${kinds.slice(0, 5).map(quoted).join(', ')}): nothing was changed.${server} Name an empty store`,
    );
  }
}
