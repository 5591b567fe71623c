/**
 * Collects what is asked for within one turn of the event loop and does it in one, since what costs is the round trip,
 * or the commit, and not the entry. Each asker learns how it went for all of them.
 */
export class Turn<T> {
  readonly #work: (items: readonly T[]) => Promise<void>;
  #items: T[] = [];
  #done: Promise<void> | undefined;

  constructor(work: (items: readonly T[]) => Promise<void>) {
    this.#work = work;
  }

  add(item: T): Promise<void> {
    this.#items.push(item);
    this.#done ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      const items = this.#items;
      this.#items = [];
      this.#done = undefined;
      return this.#work(items);
    });
    return this.#done;
  }
}
