/**
 * Collects the items that are added in one tick of the event loop, and processes them in one batch, because a batch
 * costs one round trip or commit. Every caller gets the outcome of the whole batch.
 */
export class TickBatcher<T> {
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
