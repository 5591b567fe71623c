/**
 * Runs all work items of one event-loop tick in one batch, because a round trip or commit costs more than an entry.
 * Every caller gets the outcome of the whole batch.
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
