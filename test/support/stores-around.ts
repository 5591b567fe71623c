import { openStores, type Stores } from '../../src/storage/open-stores.ts';
import type { Store } from '../../src/storage/store.ts';

/** Does what a verb of a store does, or something else in its place. */
export type Verb = (call: () => unknown, name: string, given: readonly unknown[]) => unknown;

/** Puts something around every verb of a node's stores. */
export function storesAround(verb: Verb) {
  const aroundOne = (store: Store): Store =>
    new Proxy(store, {
      get(target, name) {
        const own = Reflect.get(target, name) as unknown;
        if (typeof own !== 'function') return own;
        return (...given: unknown[]): unknown =>
          verb(() => Reflect.apply(own, target, given) as unknown, String(name), given);
      },
    });

  /** Of stores that are open already, as for a command. */
  function around<Given extends Pick<Stores, 'records' | 'grants'>>(stores: Given): Given {
    const grants = aroundOne(stores.grants);
    return { ...stores, grants, records: stores.records === stores.grants ? grants : aroundOne(stores.records) };
  }

  const openAround: typeof openStores = async (urls, clock) => around(await openStores(urls, clock));
  return { around, openStores: openAround };
}
