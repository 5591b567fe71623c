import { StoreUnavailable } from '../../src/storage/store.ts';
import { storesAround } from './stores-around.ts';

const WRITES: ReadonlySet<string> = new Set([
  ...['set', 'create', 'replace', 'consume', 'take', 'delete', 'enlist', 'increment', 'setBits'],
]);

/**
 * The stores of a node that dies at a chosen write: from then on nothing that it does reaches them. It never goes on with
 * a revocation either, so what it leaves behind is for another node.
 */
export class DyingNode {
  #left = Infinity;
  #hasDied = false;

  /** Lets so many more writes through. */
  dieAfter(writes: number): void {
    this.#left = writes;
  }

  die(): void {
    this.#hasDied = true;
  }

  /** @returns whether it had died */
  revive(): boolean {
    const hadDied = this.#hasDied;
    [this.#left, this.#hasDied] = [Infinity, false];
    return hadDied;
  }

  readonly #stores = storesAround((call, name, given) => {
    if (name === 'close' || name === 'subscribe') return call();
    if (name === 'members' && given[0] === 'revocations') return Promise.resolve({ keys: [] });
    if (WRITES.has(name)) {
      this.#hasDied ||= this.#left === 0;
      this.#left -= 1;
    }
    if (this.#hasDied) return Promise.reject(new StoreUnavailable('this node has died'));
    return call();
  });
  readonly openStores = this.#stores.openStores;
  readonly around = this.#stores.around;
}
